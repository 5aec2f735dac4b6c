"""Which of two representations a client would rather have."""

from __future__ import annotations


def prefers(accept: str | None, media_type: str, *, over: str) -> bool:
    """Say whether an Accept header ranks `media_type` above `over`.

    At the same weight what is named outright is wanted more than what a wildcard lets pass.
    """
    ranked = _weights(accept or "*/*")
    wanted = _rank(ranked, media_type)
    return wanted[0] > 0 and wanted > _rank(ranked, over)


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


def _rank(weights: dict[str, float], media_type: str) -> tuple[float, int]:
    family = media_type.split("/", maxsplit=1)[0] + "/*"
    for outright, name in ((2, media_type), (1, family), (0, "*/*")):
        if name in weights:
            return weights[name], outright
    return 0.0, 0
