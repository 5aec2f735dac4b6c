"""Names of files in a shard, as WebDataset has them: `KEY.KIND`, and the files of one sample share their key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from spectral_engine.data.images.names import is_image, nobody_means

LABEL_KINDS = ("cls", "json", "txt")
ARRAY = "npy"


def key_and_kind(name: str) -> tuple[str, str]:
    """Return what stands before the first dot of the last name, folders included, and what stands behind it."""
    folder, slash, last = name.rpartition("/")
    key, _, kind = last.partition(".")
    return f"{folder}{slash}{key}", kind.lower()


def is_picture(kind: str) -> bool:
    """Say whether files of this kind are images."""
    return is_image(f"key.{kind}")


def is_array(kind: str) -> bool:
    """Say whether files of this kind are arrays: `npy`, or `NAME.npy`."""
    return kind.rpartition(".")[2] == ARRAY


def are_samples(names: Sequence[str]) -> bool:
    """Say whether the files of an archive are samples: arrays, or images with a label beside each."""
    pairs = [key_and_kind(name) for name in names if not nobody_means(name)]
    if any(is_array(kind) for _, kind in pairs):
        return True
    labelled = {key for key, kind in pairs if kind in LABEL_KINDS}
    pictured = [key for key, kind in pairs if is_picture(kind)]
    return bool(pictured) and labelled.issuperset(pictured)


def are_shards(names: Sequence[str]) -> bool:
    """Say whether the files of a folder are shards: archives, and perhaps texts about them."""
    meant = [name for name in names if not nobody_means(name)]
    suffixes = {PurePosixPath(name).suffix.lower() for name in meant}
    return ".tar" in suffixes and suffixes <= {".tar", ".json", ".txt", ".md", ".yaml"}
