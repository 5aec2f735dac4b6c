"""Candidates under both readings of the held-out rows, and which reading decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spectral_engine.cost.budget import Budget
from spectral_engine.evaluation.evaluation import Evaluation, HeldOut
from spectral_engine.judging.choice import Option
from spectral_engine.judging.floor import pick
from spectral_engine.judging.seen_rows.memory import Memory
from spectral_engine.judging.seen_rows.rehearsal import Rehearsal
from spectral_engine.judging.verdict import Verdict
from spectral_engine.meaning.probe import spread_rows
from spectral_engine.preparation.prepare import PreparedJob
from spectral_engine.records.report import FloorTest
from spectral_engine.records.seen_rows import Reading, Rehearsed

LEARNING = 0.3  # power of the rows with which a net's distance from a perfect metric falls
GRANTED = (
    "cutting the original costs no more than cutting the stand-in, which has its architecture and was trained from "
    "fresh weights on the training rows, but for the allowance: what the original may have learned from the rows that "
    f"the stand-in never saw, if errors fall with the {LEARNING:g} power of the rows, and what it knows better of "
    "those that both saw. Rows that the original has not seen would have to show that"
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
    """Both readings, and the one that decides; `seen` is None where the job was not rehearsed."""

    unseen: ReadAs
    decided: ReadAs
    seen: ReadAs | None = None
    rehearsed: Sequence[Rehearsed | None] = ()
    stand_in: float | None = None
    allowance: float | None = None
    doubt: str | None = (
        None  # why the rehearsal does not decide, though the rows are said to be seen
    )

    def rehearsal_of(self, position: int) -> Rehearsed | None:
        """Return what the rehearsal says of a candidate."""
        return self.rehearsed[position] if self.rehearsed else None


def both_readings(
    job: PreparedJob,
    memory: Memory,
    unseen: ReadAs,
    options: Sequence[Option],
    asked: Budget,
    files: Sequence[Path],
) -> Readings:
    """Set what the rehearsal's candidates lose beside what the job's own do."""
    rehearsal = memory.rehearsal
    if rehearsal is None:
        return Readings(unseen, unseen)
    fair = _against_the_better(job, rehearsal)
    stand_in = fair.held_out_baseline().value
    if len(rehearsal.candidates) != len(files):
        other = "the rehearsal made other candidates"
        return Readings(unseen, unseen, stand_in=stand_in, doubt=other)
    allowance = _allowance(job, fair, stand_in)
    drops = [fair.validation_drop(file) for file in rehearsal.candidates]
    options_if_seen = [
        Option(option.cost, drop.value, drop.interval.high)
        for option, drop in zip(options, drops, strict=True)
    ]
    measured = [
        _worse(_judged(fair, rehearsed, allowance), _judged(fair, file, allowance))
        for rehearsed, file in zip(rehearsal.candidates, files, strict=True)
    ]
    seen = ReadAs("seen", *pick(options_if_seen, asked, job.recipe.target, measured), measured)
    rehearsed = [_entry(item, nodes) for item, nodes in zip(measured, rehearsal.nodes, strict=True)]
    doubt = _doubt(fair, files[-1])
    decided = seen if memory.said and doubt is None else unseen
    return Readings(unseen, decided, seen, rehearsed, stand_in, allowance, doubt)


def _allowance(job: PreparedJob, fair: Evaluation, stand_in: float) -> float:
    """Return by how much the original may truly be better than the stand-in.

    It had more rows to learn from; and where it does better on training rows, which both have seen, it learned more of
    those as well.
    """
    splits = job.splits
    share = splits.train.rows / sum(part.rows for part in splits.parts)
    distance = 1 - stand_in if fair.rule.higher_is_better else stand_in
    known = spread_rows(splits.train)
    on_known = splits.with_parts(known, known, splits.test)
    both = Evaluation(job.meaning, job.original, on_known, job.recipe)
    shortfall = both.validation_drop(fair.original).value
    return max(0.0, distance) * float(1 - share**LEARNING) + max(0.0, shortfall)


def _judged(fair: Evaluation, file: Path, allowance: float) -> HeldOut:
    """Return what held-out rows say of a drop that is larger by the allowance."""
    target = fair.recipe.target
    assert target.max_metric_drop is not None
    room = target.max_metric_drop - allowance
    stricter = target.model_copy(update={"max_metric_drop": max(0.0, room)})
    recipe = fair.recipe.model_copy(update={"target": stricter})
    measured = Evaluation(fair.meaning, fair.original, fair.splits, recipe).held_out(file)
    assert measured.evidence is not None
    evidence = replace(
        measured.evidence,
        p_value=measured.evidence.p_value if room >= 0 else 1.0,
        upper_bound=measured.evidence.upper_bound + allowance,
        method=f"{measured.evidence.method}, in a rehearsal, and {allowance:.4g} more",
    )
    return replace(measured, evidence=evidence)


def _worse(rehearsed: HeldOut, of_job: HeldOut) -> HeldOut:
    """Return that of which less is shown: the job's own candidate remembers the rows, and may be no better for it."""
    assert rehearsed.evidence is not None
    assert of_job.evidence is not None
    return of_job if of_job.evidence.upper_bound > rehearsed.evidence.upper_bound else rehearsed


def _against_the_better(job: PreparedJob, rehearsal: Rehearsal) -> Evaluation:
    """Compare with the stand-in, or with its widest candidate where validation rows say that this is better.

    So a stand-in that had not trained to its end makes no drop look small.
    """
    fair = Evaluation(job.meaning, rehearsal.stand_in, job.splits, job.recipe)
    if fair.validation_drop(rehearsal.candidates[0]).value >= 0:
        return fair
    return Evaluation(job.meaning, rehearsal.candidates[0], job.splits, job.recipe)


def _doubt(fair: Evaluation, narrowest: Path) -> str | None:
    """Return why the stand-in cannot speak for the original, of which a few nodes know more than all of that."""
    if fair.validation_drop(narrowest).value >= 0:
        return None
    return (
        "the original's narrowest candidate does better on validation rows than the whole stand-in, which knows too "
        "little to speak for it, or remembers too much of them"
    )


def _entry(measured: HeldOut, nodes: int) -> Rehearsed | None:
    if measured.evidence is None:
        return None
    return Rehearsed(
        drop=measured.drop.value, upper_bound=measured.evidence.upper_bound, nodes=nodes
    )


def in_words(verdict: Verdict, decided: ReadAs) -> Verdict:
    """Say what a verdict on the floor was measured on, and what it takes for granted."""
    on_floor = verdict.binding in {None, "max_metric_drop"}
    if decided.reading == "unseen" or decided.tests[decided.chosen] is None or not on_floor:
        return verdict
    reason = (
        "in a rehearsal on a stand-in that never saw these rows, as the original did, "
        f"{verdict.reason}"
    )
    if verdict.outcome == "target_met":
        reason = f"{reason}; taken for granted: {GRANTED}"
    return replace(verdict, reason=reason)
