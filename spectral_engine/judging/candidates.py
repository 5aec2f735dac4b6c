"""Candidates, measured on held-out rows, and the one that is given back. Held-out rows are read here, and only here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spectral_engine.cost.budget import Budget, Cost
from spectral_engine.cost.removal import explain
from spectral_engine.evaluation.evaluation import HeldOut
from spectral_engine.judging.choice import Option
from spectral_engine.judging.floor import pick
from spectral_engine.judging.gain import Timed, Times, speedups, with_time
from spectral_engine.judging.seen_rows.compare import ReadAs, Readings, both_readings, in_words
from spectral_engine.judging.seen_rows.memory import Memory
from spectral_engine.judging.seen_rows.story import tell
from spectral_engine.judging.verdict import ORIGINAL_KEPT, Verdict, judge
from spectral_engine.measure.latency import measure_latency
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.methods.candidate import Built
from spectral_engine.methods.run import CompressionRun
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.onnx_io.source import Source
from spectral_engine.preparation.prepare import PreparedJob
from spectral_engine.records.limit import Limit
from spectral_engine.records.method import METHODS
from spectral_engine.records.report import (
    CandidateEntry,
    Latency,
    Measurement,
    MetricValue,
)
from spectral_engine.records.seen_rows import SeenRows

LATENCY_BATCHES = (1, 64)


@dataclass(frozen=True)
class Finished:
    """A compression whose candidates are built and not yet judged."""

    job: PreparedJob
    run: CompressionRun
    baseline_metric: float
    memory: Memory
    started: float
    training_seconds: float

    @property
    def plan(self) -> RunPlan:
        """What was planned."""
        return self.run.plan

    @property
    def built(self) -> Sequence[Built]:
        """The candidates from wide to narrow."""
        return self.run.built


@dataclass(frozen=True)
class Judged:
    """The choice, and what held-out rows say of it."""

    chosen: int
    entries: list[CandidateEntry]
    baseline: Measurement
    verdict: Verdict
    seen_rows: SeenRows


@dataclass(frozen=True)
class _Terms:
    """What is asked for, and what each candidate costs of it."""

    asked: Budget
    costs: list[Cost]


def judge_candidates(finished: Finished) -> Judged:
    """Measure the candidates on held-out rows, choose one, and say what is shown of it."""
    job, plan = finished.job, finished.plan
    limit = job.recipe.target.max_latency_ms
    latency: Times = {} if limit is None else _latency(finished, range(len(finished.built)))
    terms = _terms(finished, limit, latency)
    files = [built.opened for built in finished.built]
    drops = [job.evaluation.validation_drop(file) for file in files]
    options = [
        Option(cost, drop.value, drop.interval.high, built.unchanged)
        for cost, drop, built in zip(terms.costs, drops, finished.built, strict=True)
    ]
    measured = [job.evaluation.held_out(file) for file in files]
    as_unseen = ReadAs("unseen", *pick(options, terms.asked, job.recipe.target, measured), measured)
    read = both_readings(
        job,
        finished.memory,
        as_unseen,
        options,
        terms.asked,
        [built.path for built in finished.built],
    )
    handed = _handed_back(finished, terms, read.decided, latency)
    index, latency = _names(finished).index(handed.name), handed.times
    read = replace(read, decided=replace(read.decided, chosen=index))
    entries = [
        _entry(finished, terms, position, drops[position].value, measured[position], read, latency)
        for position in range(len(measured))
    ]
    baseline = _measurement(
        job.original,
        plan.start,
        finished.baseline_metric,
        job.evaluation.held_out_baseline(),
        list(latency["baseline"]),
    )
    entries[index] = entries[index].model_copy(update={"chosen": True})
    told = tell(finished.memory, read)
    return Judged(index, entries, baseline, handed.verdict, told)


def _terms(finished: Finished, limit: Limit | None, latency: Times) -> _Terms:
    """Add the time that each candidate takes, where there is a limit for it."""
    asked, costs = finished.plan.asked, [built.effective_cost for built in finished.built]
    if limit is None:
        return _Terms(asked, costs)
    times = [latency[_name(position)][0].median_ms for position in range(len(costs))]
    allowed = limit.of(latency["baseline"][0].median_ms)
    timed = [replace(cost, latency_ms=ms) for cost, ms in zip(costs, times, strict=True)]
    return _Terms(asked.also("latency_ms", allowed), timed)


def _handed_back(finished: Finished, terms: _Terms, decided: ReadAs, times: Times) -> Timed:
    """Return the chosen candidate, or a wider one that is faster, with the times of what was timed."""
    index = decided.chosen
    verdict = _verdict(finished, terms, index, decided)
    chosen = Timed(_name(index), verdict, times or _latency(finished, [index]))
    if not METHODS.get(finished.job.recipe.method).removes_nodes:
        return chosen
    names = _names(finished)
    wider = {
        names[position]: _verdict(finished, terms, position, decided)
        for position in reversed(range(index))
    }

    def measure(again: Sequence[str]) -> Times:
        timed = {*again, *chosen.times}  # all of them: times are compared in one run
        return _latency(finished, [p for p, name in enumerate(names) if name in timed])

    return with_time(chosen, terms.asked, wider, measure)


def _verdict(finished: Finished, terms: _Terms, position: int, decided: ReadAs) -> Verdict:
    if finished.built[position].unchanged:
        return ORIGINAL_KEPT
    narrows = METHODS.get(finished.job.recipe.method).removes_nodes
    held_out = decided.measured[position]
    verdict = judge(
        terms.costs[position],
        finished.plan.start,
        terms.asked,
        held_out.drop.value,
        decided.tests[position],
        narrows=narrows,
        contradiction=held_out.contradiction,
    )
    return in_words(verdict, decided)


def _entry(
    finished: Finished,
    terms: _Terms,
    position: int,
    validation_drop: float,
    held_out: HeldOut,
    read: Readings,
    latency: Times,
) -> CandidateEntry:
    plan = finished.plan
    built = finished.built[position]
    samples = list(latency.get(_name(position), ()))
    verdict = _verdict(finished, terms, position, read.decided)
    return CandidateEntry(
        id=_name(position),
        measurement=_measurement(
            built.opened,
            built.cost,
            built.validation_metric,
            held_out.metric,
            samples,
        ),
        drop=held_out.drop,
        rehearsed=read.rehearsal_of(position),
        floor_test=read.decided.tests[position],
        other_outputs=dict(held_out.other_outputs),
        validation_drop=validation_drop,
        cooling_steps=built.cooling_steps,
        speedups=speedups(latency, _name(position)),
        exactness=built.exactness,
        links=built.links,
        widths=explain(built.removal, plan.coupling),
        meets_target=verdict.outcome == "target_met",
    )


def _name(position: int) -> str:
    return f"candidate-{position + 1}"


def _names(finished: Finished) -> list[str]:
    return [_name(position) for position in range(len(finished.built))]


def _latency(finished: Finished, positions: Iterable[int]) -> dict[str, list[Latency]]:
    rows = finished.job.splits.validation.first(max(LATENCY_BATCHES))
    models: dict[str, Source] = {"baseline": finished.job.original.source}
    models |= {_name(position): finished.built[position].path for position in positions}
    return measure_latency(models, rows, batch_sizes=LATENCY_BATCHES)


def _measurement(
    model: OpenedModel,
    cost: Cost,
    validation_metric: float,
    metric: MetricValue,
    latency: list[Latency],
) -> Measurement:
    return Measurement(
        metric=metric,
        validation_metric=validation_metric,
        nodes=cost.nodes,
        params=cost.params,
        macs=cost.macs,
        file_bytes=model.bytes,
        sha256=model.sha256,
        latency=latency,
    )
