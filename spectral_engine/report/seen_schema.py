"""Rows that the original may have seen, as the report tells it. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spectral_engine.report.section import Section

Reading = Literal["unseen", "seen"]


class MemorySign(Section):
    """What a copy of the original forgot and learned when half of its rows were trained on again, and half were not.

    `place` is learned / (learned + forgotten): near 0 where the original answers as after training on these rows, near
    1 where it answers as any model does on rows that it never saw.
    """

    place: float
    error: float = Field(description="standard error of the place")
    threshold: float = Field(
        description="a sign is found where place + error, and forgotten alone, say so"
    )
    learned: float = Field(
        description="fall of the calibrated loss on the rows that were trained on again"
    )
    forgotten: float = Field(description="its rise on the rows that were not")
    found: bool
    rows_trained: int
    rows_watched: int


class FloorReading(Section):
    """What the floor would be under one reading of the rows."""

    reading: Reading
    candidate: str = Field(description="id of the candidate that this reading hands back")
    shown: bool = Field(description="whether it is shown to keep the floor under this reading")
    drop: float
    upper_bound: float = Field(
        description="of that candidate's drop under this reading, one-sided, taken alone"
    )
    statement: str


class SeenRows(Section):
    """Whether the original was trained on the held-out rows: what was said, what was found, what was assumed."""

    said: bool | None = Field(
        None, description="of the held-out rows; None where the recipe does not say"
    )
    seen_parts: list[str] = Field(
        default_factory=list, description="of train, val and test: those said to be seen"
    )
    assumed: Reading
    statement: str
    sign: MemorySign | None = Field(None, description="None where none was looked for")
    reference: float | None = Field(
        None,
        description="metric, on the held-out rows, of the original retrained in the same way and never cut, without "
        "these rows",
    )
    decided_against: Literal["original", "reference"] = Field(
        "original", description="which model the outcome compares the candidates with"
    )
    readings: list[FloorReading] = Field(
        default_factory=list, description="where a floor is asked for and both can be told"
    )
    taken_for_granted: str | None = None
