"""A limit of what a model costs: a share of the original's, or an amount, told apart by how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite


@dataclass(frozen=True)
class Limit:
    """A share in (0, 1] of the original's cost, or a positive amount in `unit`; a share has no unit.

    Raises ValueError for other numbers.

    >>> Limit(0.5).of(8.0), Limit(0.5, "ms").of(8.0)
    (4.0, 0.5)
    """

    number: float
    unit: str | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.number) and self.number > 0):
            raise ValueError(f"{self.number:g} is not a number above 0")
        if self.is_share and self.number > 1:
            raise ValueError(f"{self.number:g} is not a share in (0, 1]")

    @property
    def is_share(self) -> bool:
        """True for a share of the original's cost, False for an amount."""
        return self.unit is None

    def of(self, original: float) -> float:
        """Return the limit as an amount, for an original that costs so much in the same unit."""
        return self.number * original if self.is_share else self.number

    def to_json(self) -> float | dict[str, float]:
        """Return the plainest form that reads back as this limit: an amount that looks like a share names its unit."""
        if self.unit is None or self.number > 1:
            return self.number
        return {self.unit: self.number}
