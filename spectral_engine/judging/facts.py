"""The report's facts, put together from what a compression did; nothing is decided here."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import version

import numpy as np

import spectral_engine
from spectral_engine.explain.input_relevance import input_relevance
from spectral_engine.graph.operators import is_outside
from spectral_engine.judging.candidates import Finished, Judged, judge_candidates
from spectral_engine.judging.seen_rows.story import warnings
from spectral_engine.methods.candidate import Built
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.records.report import (
    InputRelevance,
    MetricValue,
    NodeRelevance,
    Provenance,
    Report,
    TransferSpectrum,
    Untouched,
)

LATENCY_BATCHES = (1, 64)
REPORTED_PACKAGES = ("torch", "onnx", "onnx-ir", "onnxruntime", "numpy")


def build_report(finished: Finished) -> Report:
    """Choose, measure on held-out rows, and tell everything."""
    job, plan = finished.job, finished.plan
    judged = judge_candidates(finished)
    chosen = finished.built[judged.chosen]
    return Report(
        outcome=judged.verdict.outcome,
        outcome_reason=judged.verdict.reason,
        binding_constraint=judged.verdict.binding,
        method=job.recipe.method,
        recipe=_executed(finished),
        task=job.meaning.task,
        baseline=judged.baseline,
        candidates=judged.entries,
        chosen=judged.entries[judged.chosen].id,
        spectra=_spectra(finished, chosen),
        relevance=_relevance(plan, chosen),
        input_relevance=_inputs(finished, judged.chosen),
        path=finished.run.state.points,
        topology=finished.run.state.topology,
        untouched=[
            Untouched(layer=layer.name, nodes=len(layer.groups), reason=layer.reason or "pinned")
            for layer in plan.coupling.layers
            if not layer.prunable
        ],
        data=job.splits.summary,
        seen_rows=judged.seen_rows,
        warnings=_warnings(finished, judged),
        provenance=_provenance(finished, chosen),
    )


def _executed(finished: Finished) -> dict[str, object]:
    """Return the recipe with what was left to be found filled in."""
    recipe = finished.plan.recipe
    chosen_by_run = {
        "learning_rate": finished.run.state.rate,
        "swap_noise": finished.plan.feed.swaps,
    }
    training = recipe.training.model_copy(update=chosen_by_run)
    return recipe.model_copy(update={"training": training}).model_dump(mode="json")


def _spectra(finished: Finished, chosen: Built) -> list[TransferSpectrum]:
    coupling = finished.plan.coupling
    spectra = []
    for transfer in coupling.transfers:
        ids = coupling.axes[transfer.weight][transfer.out_axis]
        if ids is None:
            continue
        kept = np.flatnonzero(~chosen.removed[ids])
        spectra.append(
            TransferSpectrum(
                transfer=transfer.name,
                before=finished.run.first_eigenvalues[ids].tolist(),
                after=chosen.eigenvalues[ids[kept]].tolist(),
                kept=kept.tolist(),
            )
        )
    return spectra


def _relevance(plan: RunPlan, chosen: Built) -> list[NodeRelevance]:
    return [
        NodeRelevance(
            layer=layer.name,
            index=index,
            eigenvalue=float(chosen.eigenvalues[group]),
            relevance=float(chosen.relevance[group]),
            kept=not chosen.removed[group],
            removed_at_step=int(chosen.removed_at[group]) if chosen.removed[group] else None,
        )
        for layer in plan.coupling.layers
        if layer.prunable
        for index, group in enumerate(layer.groups)
    ]


def _inputs(finished: Finished, chosen: int) -> list[InputRelevance]:
    module = finished.built[chosen].opened.module(finished.job.rows).to(finished.job.device)
    job = finished.job
    relevance = input_relevance(module, job.objective, finished.plan.feed, job.recipe.seed)
    return [
        InputRelevance(
            input=name,
            shape=list(values.shape),
            values=[float(value) for value in values.flatten().cpu()],
            feature_names=job.splits.feature_names,
        )
        for name, values in relevance.items()
    ]


def _warnings(finished: Finished, judged: Judged) -> list[str]:
    told = [*finished.run.state.warnings, *warnings(judged.seen_rows), *_untaught(finished)]
    chosen = judged.entries[judged.chosen]
    told += [_of_other_output(name, kept) for name, kept in chosen.other_outputs.items()]
    test = chosen.floor_test
    if test is not None and test.asymptotic:
        told.append(
            f"the {100 * test.confidence:g} % confidence in the floor is asymptotic for this metric: "
            f"on {test.rows:,} held-out rows it holds about, not exactly"
        )
    return told


def _of_other_output(name: str, kept: MetricValue) -> str:
    low, high = kept.interval.low, kept.interval.high
    return (
        f"output {name!r} is not judged: {kept.name} of the chosen model's answers with the original's there is "
        f"{kept.value:.3g} ({low:.3g} to {high:.3g}) on {kept.rows:,} held-out rows"
    )


def _untaught(finished: Finished) -> list[str]:
    """Name operators that stopped gradients: what feeds nothing but them was cut and not trained."""
    nodes = filter(is_outside, finished.run.trainer.model.module.nodes)
    return [
        f"node {node.name!r} ({node.domain}{'::' if node.domain else ''}{node.op_type}) was computed by onnxruntime, "
        "without a gradient: layers whose answers go through it alone were not trained, and nodes are ranked by weights"
        for node in nodes
    ]


def _provenance(finished: Finished, chosen: Built) -> Provenance:
    job = finished.job
    return Provenance(
        engine_version=spectral_engine.__version__,
        versions=_versions(),
        seed=job.recipe.seed,
        device=str(job.device),
        model_sha256=job.model_sha256,
        dataset_sha256=job.splits.summary.sha256,
        started_at=_time(finished.started),
        finished_at=_time(datetime.datetime.now(datetime.UTC).timestamp()),
        training_seconds=finished.training_seconds,
        trained_parameters=chosen.trained_parameters,
    )


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        name: version(name) for name in REPORTED_PACKAGES
    }


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
