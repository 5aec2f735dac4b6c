"""The report, put together from what a compression did. Held-out rows are read here, and only here."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

import spectral_engine
from spectral_engine.cost.budget import Budget, Cost, absolute
from spectral_engine.evaluation.evaluation import HeldOut
from spectral_engine.explain.input_relevance import input_relevance
from spectral_engine.graph.layers import Layer
from spectral_engine.graph.loading import load
from spectral_engine.judging.choice import ORIGINAL_KEPT, Option, Verdict, judge
from spectral_engine.judging.floor import pick
from spectral_engine.judging.seen_rows.compare import ReadAs, Readings, both_readings, in_words
from spectral_engine.judging.seen_rows.memory import Memory
from spectral_engine.judging.seen_rows.story import tell, warnings
from spectral_engine.measure.latency import measure_latency, speedup
from spectral_engine.methods.candidate import Built
from spectral_engine.methods.run import SpectralPath
from spectral_engine.methods.run_plan import Task
from spectral_engine.onnx_io.source import Source, source_bytes, source_sha256
from spectral_engine.preparation.prepare import Setup, first_rows
from spectral_engine.records.report import (
    CandidateEntry,
    InputRelevance,
    Latency,
    LayerWidth,
    Measurement,
    MetricValue,
    NodeRelevance,
    Provenance,
    Report,
    TransferSpectrum,
    Untouched,
)
from spectral_engine.records.seen_rows import SeenRows

LATENCY_BATCHES = (1, 64)
REPORTED_PACKAGES = ("torch", "onnx", "onnx-ir", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Finished:
    """A compression whose candidates are built and not yet judged."""

    setup: Setup
    task: Task
    path: SpectralPath
    files: Sequence[Path]
    baseline_metric: float
    memory: Memory
    started: float
    training_seconds: float

    @property
    def built(self) -> Sequence[Built]:
        """The candidates from wide to narrow."""
        return self.path.built


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


def build_report(finished: Finished) -> Report:
    """Choose, measure on held-out rows, and tell everything."""
    setup, task = finished.setup, finished.task
    judged = _judge(finished)
    chosen = finished.built[judged.chosen]
    return Report(
        outcome=judged.verdict.outcome,
        outcome_reason=judged.verdict.reason,
        binding_constraint=judged.verdict.binding,
        method=setup.recipe.method,
        recipe=_executed(finished),
        task=setup.meaning.task,
        baseline=judged.baseline,
        candidates=judged.entries,
        chosen=judged.entries[judged.chosen].id,
        spectra=_spectra(finished, chosen),
        relevance=_relevance(task, chosen),
        input_relevance=_inputs(finished, judged.chosen),
        path=finished.path.walk.points,
        topology=finished.path.walk.topology,
        untouched=[
            Untouched(layer=layer.name, nodes=len(layer.groups), reason=layer.reason or "pinned")
            for layer in task.coupling.layers
            if not layer.prunable
        ],
        data=setup.splits.summary,
        seen_rows=judged.seen_rows,
        warnings=_warnings(finished, judged),
        provenance=_provenance(finished, chosen),
    )


def _executed(finished: Finished) -> dict[str, object]:
    """Return the recipe with what was left to be found filled in."""
    recipe = finished.setup.recipe
    found = {"learning_rate": finished.path.walk.rate, "swap_noise": finished.task.feed.swaps}
    training = recipe.training.model_copy(update=found)
    return recipe.model_copy(update={"training": training}).model_dump(mode="json")


def _judge(finished: Finished) -> Judged:
    setup, task = finished.setup, finished.task
    limit = setup.recipe.target.max_latency_ms
    latency = {} if limit is None else _latency(finished, range(len(finished.built)))
    terms = _terms(finished, limit, latency)
    drops = [setup.evaluation.validation_drop(file) for file in finished.files]
    options = [
        Option(cost, drop.value, drop.interval.high, built.unchanged)
        for cost, drop, built in zip(terms.costs, drops, finished.built, strict=True)
    ]
    measured = [setup.evaluation.held_out(file) for file in finished.files]
    as_unseen = ReadAs(
        "unseen", *pick(options, terms.asked, setup.recipe.target, measured), measured
    )
    read = both_readings(setup, finished.memory, as_unseen, options, terms.asked, finished.files)
    index = read.decided.chosen
    latency = latency or _latency(finished, [index])
    entries = [
        _entry(finished, terms, position, drops[position].value, measured[position], read, latency)
        for position in range(len(measured))
    ]
    verdict = _verdict(finished, terms, index, read.decided)
    baseline = _measurement(
        setup.original,
        task.start,
        finished.baseline_metric,
        setup.evaluation.held_out_baseline(),
        latency["baseline"],
    )
    entries[index] = entries[index].model_copy(update={"chosen": True})
    told = tell(finished.memory, read)
    return Judged(index, entries, baseline, verdict, told)


def _terms(finished: Finished, limit: float | None, latency: Mapping[str, list[Latency]]) -> _Terms:
    """Add the time that each candidate takes, where there is a limit for it."""
    asked, costs = finished.task.asked, [built.effective_cost for built in finished.built]
    if limit is None:
        return _Terms(asked, costs)
    times = [latency[_name(position)][0].median_ms for position in range(len(costs))]
    allowed = absolute(limit, latency["baseline"][0].median_ms)
    timed = [replace(cost, latency_ms=ms) for cost, ms in zip(costs, times, strict=True)]
    return _Terms(asked.also("latency_ms", allowed), timed)


def _verdict(finished: Finished, terms: _Terms, position: int, decided: ReadAs) -> Verdict:
    if finished.built[position].unchanged:
        return ORIGINAL_KEPT
    narrows = finished.setup.recipe.method != "retrain"
    held_out = decided.measured[position]
    verdict = judge(
        terms.costs[position],
        finished.task.start,
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
    latency: dict[str, list[Latency]],
) -> CandidateEntry:
    task = finished.task
    built, file = finished.built[position], finished.files[position]
    own = latency.get(_name(position), [])
    verdict = _verdict(finished, terms, position, read.decided)
    return CandidateEntry(
        id=_name(position),
        measurement=_measurement(
            file,
            built.cost,
            built.validation_metric,
            held_out.metric,
            own,
        ),
        drop=held_out.drop,
        rehearsed=read.rehearsal_of(position),
        floor_test=read.decided.tests[position],
        validation_drop=validation_drop,
        speedups=[
            speedup(before, after) for before, after in zip(latency["baseline"], own, strict=False)
        ],
        exactness=built.exactness,
        links=built.links,
        widths=_widths(task.coupling.layers, built),
        meets_target=verdict.outcome == "target_met",
    )


def _name(position: int) -> str:
    return f"candidate-{position + 1}"


def _latency(finished: Finished, positions: Iterable[int]) -> dict[str, list[Latency]]:
    feeds = first_rows(finished.setup.splits.validation, max(LATENCY_BATCHES)).inputs
    models: dict[str, Source] = {"baseline": finished.setup.original}
    models |= {_name(position): finished.files[position] for position in positions}
    return measure_latency(models, feeds, batch_sizes=LATENCY_BATCHES)


def _measurement(
    content: Source,
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
        file_bytes=source_bytes(content),
        sha256=source_sha256(content),
        latency=latency,
    )


def _widths(layers: Sequence[Layer], built: Built) -> list[LayerWidth]:
    return [
        LayerWidth(
            layer=layer.name,
            before=len(layer.groups),
            after=int((~built.removed[layer.groups]).sum()),
        )
        for layer in layers
    ]


def _spectra(finished: Finished, chosen: Built) -> list[TransferSpectrum]:
    coupling = finished.task.coupling
    spectra = []
    for transfer in coupling.transfers:
        ids = coupling.axes[transfer.weight][transfer.out_axis]
        if ids is None:
            continue
        kept = np.flatnonzero(~chosen.removed[ids])
        spectra.append(
            TransferSpectrum(
                transfer=transfer.name,
                before=finished.path.first_eigenvalues[ids].tolist(),
                after=chosen.eigenvalues[ids[kept]].tolist(),
                kept=kept.tolist(),
            )
        )
    return spectra


def _relevance(task: Task, chosen: Built) -> list[NodeRelevance]:
    return [
        NodeRelevance(
            layer=layer.name,
            index=index,
            eigenvalue=float(chosen.eigenvalues[group]),
            relevance=float(chosen.relevance[group]),
            kept=not chosen.removed[group],
            removed_at_step=int(chosen.removed_at[group]) if chosen.removed[group] else None,
        )
        for layer in task.coupling.layers
        if layer.prunable
        for index, group in enumerate(layer.groups)
    ]


def _inputs(finished: Finished, chosen: int) -> list[InputRelevance]:
    module = load(finished.files[chosen]).to(finished.setup.device)
    setup = finished.setup
    found = input_relevance(module, setup.objective, finished.task.feed, setup.recipe.seed)
    return [
        InputRelevance(
            input=name,
            shape=list(values.shape),
            values=[float(value) for value in values.flatten().cpu()],
            feature_names=setup.splits.feature_names,
        )
        for name, values in found.items()
    ]


def _warnings(finished: Finished, judged: Judged) -> list[str]:
    found = [*finished.path.warnings, *warnings(judged.seen_rows)]
    test = judged.entries[judged.chosen].floor_test
    if test is not None and test.asymptotic:
        found.append(
            f"the {100 * test.confidence:g} % confidence in the floor is asymptotic for this metric: "
            f"on {test.rows:,} held-out rows it holds about, not exactly"
        )
    return found


def _provenance(finished: Finished, chosen: Built) -> Provenance:
    setup = finished.setup
    return Provenance(
        engine_version=spectral_engine.__version__,
        versions=_versions(),
        seed=setup.recipe.seed,
        device=str(setup.device),
        model_sha256=setup.model_sha256,
        dataset_sha256=setup.splits.summary.sha256,
        started_at=_time(finished.started),
        finished_at=_time(datetime.datetime.now(datetime.UTC).timestamp()),
        training_seconds=finished.training_seconds,
        trained_parameters=chosen.trained_parameters,
    )


def provenance_properties(setup: Setup) -> dict[str, str]:
    """Return what is written into a candidate's own metadata: enough to find its report again."""
    return {
        "eigenpress.version": spectral_engine.__version__,
        "eigenpress.method": setup.recipe.method,
        "eigenpress.seed": str(setup.recipe.seed),
        "eigenpress.source_sha256": setup.model_sha256,
        "eigenpress.dataset_sha256": setup.splits.summary.sha256,
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        name: version(name) for name in REPORTED_PACKAGES
    }


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
