"""Rows that the original may have seen, as the report tells it. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spectral_engine.records.section import Section

Reading = Literal["unseen", "seen"]


class MemorySign(Section):
    """What a copy of the original learned and forgot when it was trained again on some of the rows, and not on others.

    `place` is learned / (learned + forgotten): near 0 where the original answers as after training on such rows, near
    1 where it answers as any model does on rows that it never saw.
    """

    place: float
    error: float = Field(description="standard error of the place")
    threshold: float = Field(
        description="a sign is found where place + 1.645 error is below, and the others are forgotten"
    )
    learned: float = Field(description="fall of the calibrated loss on the rows trained on again")
    forgotten: float = Field(description="its rise on the others")
    temperature: float = Field(
        description="that suits the original's answers to these rows best: well above 1, it is overconfident, as "
        "training leaves no net on the rows that it saw"
    )
    found: bool
    rows_trained: int
    rows_watched: int


class Rehearsed(Section):
    """The same cut on a stand-in that never saw the held-out rows, against that stand-in.

    Where the job's own candidate does worse beside the stand-in, it stands here in place of the stand-in's.
    """

    drop: float
    upper_bound: float = Field(
        description="of that drop, one-sided, at the target's confidence, with the allowance"
    )
    nodes: int


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
    stand_in: float | None = Field(
        None, description="metric on the held-out rows of what the rehearsal compares with"
    )
    allowance: float | None = Field(
        None,
        description="by how much the original may truly be better; in the bounds of what was rehearsed",
    )
    decided_by: Literal["original", "rehearsal"] = Field(
        "original", description="what the outcome is by: drops against the original, or rehearsed"
    )
    doubt: str | None = Field(
        None, description="why the rehearsal, where there is one, cannot decide"
    )
    readings: list[FloorReading] = Field(
        default_factory=list, description="where a floor is asked for; two where it was rehearsed"
    )
    taken_for_granted: str | None = None
