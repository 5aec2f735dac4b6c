"""Candidates under both readings of the held-out rows, and which reading decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spectral_engine.evaluation import Evaluation, HeldOut
from spectral_engine.methods.budget import Budget
from spectral_engine.methods.selection import Option, Verdict
from spectral_engine.report.floor import pick
from spectral_engine.report.schema import FloorTest
from spectral_engine.report.seen_schema import Reading
from spectral_engine.seen_rows.memory import Memory
from spectral_engine.setup import Setup

GRANTED = (
    "the original, retrained in the same way and not cut, is truly no worse than the original; rows that it has not "
    "seen would have to show that"
)


@dataclass(frozen=True)
class ReadAs:
    """The candidates under one reading: which would be handed back, what the tests say, what each loses."""

    reading: Reading
    chosen: int
    tests: Sequence[FloorTest | None]
    measured: Sequence[HeldOut]


@dataclass(frozen=True)
class Readings:
    """Both readings; `seen` is None where the original was not retrained."""

    unseen: ReadAs
    seen: ReadAs | None
    decided: ReadAs


def both_readings(
    setup: Setup,
    memory: Memory,
    unseen: ReadAs,
    options: Sequence[Option],
    asked: Budget,
    files: Sequence[Path],
) -> Readings:
    """Compare the candidates with the original retrained, too, where there is one.

    It decides where the rows are said to be seen and it is the worse of both on validation rows: else the original's
    memory of such rows is nothing that held it up, and the comparison with the original itself asks for no more.
    """
    if memory.reference is None:
        return Readings(unseen, None, unseen)
    fair = Evaluation(setup.meaning, memory.reference, setup.splits, setup.recipe)
    drops = [fair.validation_drop(file) for file in files]
    own = [
        Option(option.cost, drop.value, drop.interval.high)
        for option, drop in zip(options, drops, strict=True)
    ]
    measured = [fair.held_out(file) for file in files]
    seen = ReadAs("seen", *pick(own, asked, setup.recipe.target, measured), measured)
    lost = setup.evaluation.validation_drop(memory.reference).value > 0
    return Readings(unseen, seen, seen if memory.said and lost else unseen)


def in_words(verdict: Verdict, decided: ReadAs) -> Verdict:
    """Say what a verdict on the floor compares with, and what it takes for granted."""
    test = decided.tests[decided.chosen]
    if (
        decided.reading == "unseen"
        or test is None
        or verdict.binding not in {None, "max_metric_drop"}
    ):
        return verdict
    reason = (
        f"against the original retrained without these rows, which it has seen, {verdict.reason}"
    )
    if verdict.outcome == "target_met":
        reason = f"{reason}; taken for granted: {GRANTED}"
    return replace(verdict, reason=reason)
