"""Numbers as people typeset them: thousands in groups, decimal commas, a minus that is longer than a hyphen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUPED = re.compile(
    r"[+-]?\d{1,3}(?P<sign>[., '])\d{3}(?:(?P=sign)\d{3})*(?:[.,]\d+)?(?:[eE][+-]?\d+)?$"
)
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?$")
MINUS = "\u2212"
BLANKS = "\u00a0\u2007\u2009\u202f"  # that do not break, and narrow ones
PLAIN = str.maketrans({MINUS: "-", **dict.fromkeys(BLANKS, " ")})
SPECIAL = frozenset({"nan", "inf", "infinity"})


def is_number(text: str) -> bool:
    """Say whether a text is a number, however its thousands and decimals are separated."""
    plain = text.translate(PLAIN).strip()
    if NUMBER.match(plain) or GROUPED.match(plain):
        return True
    return plain.lstrip("+-").lower() in SPECIAL


def is_typeset(texts: Sequence[str]) -> bool:
    """Say whether all texts are numbers, and some are such as no program writes."""
    return any(MINUS in text or GROUPED.match(text.translate(PLAIN)) for text in texts) and all(
        map(is_number, texts)
    )


def numbers_in(texts: Sequence[str], name: str, notes: list[str]) -> NDArray[np.float64] | None:
    """Return the numbers in the texts of a column, where one way of writing serves them all; None where none does."""
    values = [text.translate(PLAIN).strip() for text in texts]
    signs = {match["sign"] for value in values if (match := GROUPED.match(value))}
    numbers = None
    if len(signs) == 1:
        sign = signs.pop()
        numbers = _floats(_without(values, sign))
        if numbers is not None:
            kind = "a blank" if sign == " " else repr(sign)
            notes.append(f"{name}: {kind} is read as a separator of thousands")
    if numbers is None:
        numbers = _floats(values)
    if numbers is None and (pointed := _with_points(values)) is not None:
        numbers = _floats(pointed)
        notes += [] if numbers is None else [f"{name}: decimals are written with commas"]
    if numbers is not None and any(MINUS in text for text in texts):
        notes.append(f"{name}: {MINUS!r} is read as a minus")
    return numbers


def _without(values: list[str], sign: str) -> list[str]:
    """Return values without a separator of thousands and with decimal points; none where the sign stands elsewhere."""
    if any(sign in value and not _grouped_by(value, sign) for value in values):
        return [""]
    bare = [value.replace(sign, "") for value in values]
    if sign == ".":
        return [value.replace(",", ".") for value in bare]
    return bare if sign == "," else _with_points(bare) or bare


def _grouped_by(value: str, sign: str) -> bool:
    match = GROUPED.match(value)
    return match is not None and match["sign"] == sign


def _with_points(values: list[str]) -> list[str] | None:
    """Return values with decimal points for commas; None where a point stands in one, or two commas."""
    if any("." in value or value.count(",") > 1 for value in values):
        return None
    return [value.replace(",", ".") for value in values]


def _floats(values: list[str]) -> NDArray[np.float64] | None:
    try:
        floats: NDArray[Any] = np.asarray([float(value) for value in values], dtype=np.float64)
    except ValueError:
        return None
    return floats
