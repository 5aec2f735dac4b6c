"""Where each file of each sample lies in its shard: found once, and read from there by the sample's number."""

from __future__ import annotations

import os
import tarfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.images.container import (
    DAMAGE,
    MOST_MEMBER_BYTES,
    MOST_MEMBERS,
    tar_members,
)
from spectral_engine.data.images.names import nobody_means, pointer_to
from spectral_engine.data.part_names import PARTS
from spectral_engine.data.sample_names import key_and_kind
from spectral_engine.errors import DatasetMismatch

MOST_SAMPLES = 20_000_000  # of all shards together: one takes some hundred bytes


@dataclass
class _FilesOfKind:
    """Of the files of one kind: the number of the sample, the offset in its shard, and the size, each [files]."""

    samples: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))


@dataclass
class Samples:
    """Samples in the order of the shards' names, and in that of each shard."""

    shards: list[Path]
    names: list[str] = field(default_factory=list)  # SHARD/KEY
    shard_of: array[int] = field(default_factory=lambda: array("l"))
    _kinds: dict[str, _FilesOfKind] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def kinds(self) -> list[str]:
        """The kinds of files that there are."""
        return [*self._kinds]

    def having(self, kind: str) -> NDArray[np.int64]:
        """Return which samples have a file of this kind, in rising order [files]."""
        return np.frombuffer(self._kinds[kind].samples, np.int64)

    def read(self, sample: int, kind: str) -> bytes:
        """Return what a file holds, from any thread; raises DatasetMismatch for one that is too large or cut short."""
        files = self._kinds[kind]
        at = int(np.searchsorted(self.having(kind), sample))
        size, name = files.sizes[at], f"{self.names[sample]}.{kind}"
        if size > MOST_MEMBER_BYTES:
            raise DatasetMismatch(
                f"{name!r} holds {size:,} bytes; at most {MOST_MEMBER_BYTES:,} are allowed",
                pointer=pointer_to(name),
            )
        try:
            with self.shards[self.shard_of[sample]].open("rb") as shard:
                content = os.pread(shard.fileno(), size, files.offsets[at])
        except OSError as error:
            raise DatasetMismatch(
                f"{name!r} cannot be read: {error}", pointer=pointer_to(name)
            ) from error
        if len(content) != size:
            raise DatasetMismatch(f"{name!r} is cut short", pointer=pointer_to(name))
        return content

    def parts(self) -> list[str]:
        """Return the part of each sample, by the names of the shards; `""` for all where these say none.

        Raises DatasetMismatch where some say one and others none, or none is to train on.
        """
        said = [_part_of(shard) for shard in self.shards]
        if not any(said):
            return [""] * len(self)
        if "" in said or "train" not in said:
            odd = self.shards[said.index("")].name if "" in said else ""
            fault = f"{odd!r} belongs to no part, and others do" if odd else "no shard is to train"
            raise DatasetMismatch(
                f"{fault}: have train, val or test in the name of each, as train-000.tar, or in none",
                pointer=pointer_to(odd) if odd else "#/file",
            )
        return [said[shard] for shard in self.shard_of]

    def add(self, number: int, kind: str, offset: int, size: int) -> None:
        """Note where a file of a sample lies."""
        files = self._kinds.setdefault(kind, _FilesOfKind())
        files.samples.append(number)
        files.offsets.append(offset)
        files.sizes.append(size)

    def sort(self) -> None:
        """Put the files of each kind into the order of their samples."""
        for files in self._kinds.values():
            order = np.argsort(np.frombuffer(files.samples, np.int64), kind="stable")
            for name in ("samples", "offsets", "sizes"):
                values = np.frombuffer(getattr(files, name), np.int64)[order]
                setattr(files, name, array("q", values.tobytes()))


def samples_in(path: Path) -> Samples:
    """Return the samples of a shard, or of all shards in a folder, in the order of their names.

    Raises DatasetMismatch, by name, for what does not belong into an archive, and for shards that are not whole.
    """
    shards = [path]
    if path.is_dir():
        inside = {one.relative_to(path).as_posix(): one for one in path.rglob("*.tar")}
        shards = [inside[name] for name in sorted(inside) if not nobody_means(name)]
    samples = Samples(shards)
    for number, shard in enumerate(shards):
        _add_shard(samples, number, shard)
    samples.sort()
    return samples


def _add_shard(samples: Samples, shard_number: int, shard: Path) -> None:
    numbers: dict[str, int] = {}
    seen = set[str]()
    for name, offset, size in _files(shard):
        if name in seen:
            raise DatasetMismatch(
                f"{name!r} stands twice in {shard.name!r}", pointer=pointer_to(shard.name)
            )
        seen.add(name)
        if len(seen) > MOST_MEMBERS or len(samples) > MOST_SAMPLES:
            raise DatasetMismatch(
                f"{shard.name!r} is one too many: at most {MOST_MEMBERS:,} files are read from a shard, and "
                f"{MOST_SAMPLES:,} samples from all",
                pointer=pointer_to(shard.name),
            )
        key, kind = key_and_kind(name)
        if key not in numbers:
            numbers[key] = len(samples)
            samples.names.append(f"{shard.name}/{key}")
            samples.shard_of.append(shard_number)
        samples.add(numbers[key], kind, offset, size)


def _files(shard: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, offset and size of each file that somebody means."""
    try:
        with tarfile.open(shard, "r:") as archive:
            for name, info in tar_members(archive):
                archive.members = []  # type: ignore[attr-defined]  # they are kept for those who ask for them by name
                if info.isdir() or nobody_means(name):
                    continue
                if info.issparse():
                    raise DatasetMismatch(
                        f"{name!r} in {shard.name!r} is sparse: pack plain files",
                        pointer=pointer_to(name),
                    )
                yield name, info.offset_data, info.size
    except DAMAGE as error:
        raise DatasetMismatch(
            f"{shard.name!r} is not a whole .tar archive: {error}", pointer=pointer_to(shard.name)
        ) from error


def _part_of(shard: Path) -> str:
    words = shard.stem.lower().replace("-", "_").replace(".", "_").split("_")
    said = [PARTS[word] for word in (*words, shard.parent.name.lower()) if word in PARTS]
    return said[0] if said else ""


def refuse_incomplete(
    samples: Samples, having: Sequence[int] | NDArray[np.int64], what: str
) -> None:
    """Raise DatasetMismatch, by the first sample that lacks what these have."""
    lacking = np.setdiff1d(np.arange(len(samples)), having)
    if len(lacking):
        name = samples.names[int(lacking[0])]
        raise DatasetMismatch(
            f"{name!r} has no {what} ({len(lacking):,} of {len(samples):,} samples have none): add or drop them",
            pointer=pointer_to(name),
        )
