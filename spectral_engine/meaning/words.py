"""What names of outputs say of the answers, where nothing else does."""

from __future__ import annotations

from collections.abc import Iterable

EMBEDDING_WORDS = ("embed", "feature", "pool", "latent", "represent", "hidden", "encoded")
IMAGE_WORDS = (
    "image",
    "depth",
    "recon",
    "flow",
    "dispar",
    "height",
    "normals",
    "denois",
    "decoded",
)
NUMBER_WORDS = (*EMBEDDING_WORDS, *IMAGE_WORDS)
CLASS_WORDS = ("logit", "prob", "class", "score", "label", "pred")
MASK_WORDS = ("mask", "segm", "logit", "prob", "class", "label")


def called(name: str, words: Iterable[str]) -> bool:
    """Say whether a name has one of these words in it."""
    return any(word in name.lower() for word in words)
