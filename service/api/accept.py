"""Which of two representations a client would rather have."""

from __future__ import annotations


def prefers(accept: str | None, media_type: str, *, over: str) -> bool:
    """Say whether an Accept header ranks `media_type` strictly above `over`."""
    ranked = _weights(accept or "*/*")
    return _weight(ranked, media_type) > _weight(ranked, over)


def _weights(accept: str) -> dict[str, float]:
    weights = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights[name] = _quality(parameters)
    return weights


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter.removeprefix("q="))
            except ValueError:
                return 0.0
    return 1.0


def _weight(weights: dict[str, float], media_type: str) -> float:
    family = media_type.split("/", maxsplit=1)[0] + "/*"
    for name in (media_type, family, "*/*"):
        if name in weights:
            return weights[name]
    return 0.0
