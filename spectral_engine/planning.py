"""From a prepared job to a run that can start: the plan, the teacher, and the model in the form that trains."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from spectral_engine.cost.budget import (
    Budget,
    Cost,
    asked_budget,
    check_feasible,
    cost_of,
    path_end,
)
from spectral_engine.cost.file_size import growth
from spectral_engine.cost.grid import grid_of
from spectral_engine.cost.latency_budget import LatencyProbe, check_in_time, macs_in_time
from spectral_engine.cost.ranking import all_that_can_go
from spectral_engine.graph.coupling import Coupling
from spectral_engine.graph.module import OnnxModule
from spectral_engine.methods.policy import policy_of
from spectral_engine.methods.run import CompressionRun
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.preparation.prepare import PreparedJob, first_rows
from spectral_engine.preparation.provenance import provenance_of
from spectral_engine.records.progress import OnProgress
from spectral_engine.spectral.fresh import draw_weights
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Feed
from spectral_engine.training.normalization import normalize
from spectral_engine.training.swap_noise import calibrate_swap_noise
from spectral_engine.training.teacher import Teacher
from spectral_engine.training.trainer import Trainer

EXACTNESS_ROWS = 64


def plan(
    job: PreparedJob, folder: Path, on_progress: OnProgress, *, resumable: bool = True
) -> RunPlan:
    """Lay out the path from wide to narrow; raises TargetInfeasible where no cut can meet the target."""
    recipe, coupling = job.recipe, counted(job)
    start = cost_of(coupling, ~coupling.alive())
    asked = asked_budget(recipe.target, start)
    provenance = provenance_of(job)
    end = _end(
        replace(job, coupling=coupling), start, asked, provenance, folder, resumable=resumable
    )
    feed = Feed(job.splits.train, recipe.training.batch_size, job.device, swaps=swap_noise(job))
    return RunPlan(
        recipe=recipe,
        original=job.original,
        coupling=coupling,
        start=start,
        asked=asked,
        end=end,
        schedule=policy_of(recipe).schedule(recipe, feed.steps_per_epoch),
        feed=feed,
        validation=Feed(job.splits.validation, recipe.training.batch_size, job.device),
        score=job.evaluation.validation_score,
        samples=first_rows(job.splits.validation, EXACTNESS_ROWS),
        metric_name=job.evaluation.metric,
        measure=job.evaluation.validation_metric,
        drop_to=job.evaluation.validation_drop_to,
        provenance=provenance,
        work_dir=folder,
        on_progress=on_progress,
        resumable=resumable,
    )


def refuse_infeasible(job: PreparedJob) -> None:
    """Raise the TargetInfeasible with which `plan` would stop."""
    job = replace(job, coupling=counted(job))
    start = cost_of(job.coupling, ~job.coupling.alive())
    asked = asked_budget(job.recipe.target, start)
    with tempfile.TemporaryDirectory(prefix="plan-") as place:
        floor, _ = _narrowest(job, asked, provenance_of(job), Path(place))
    if job.recipe.target.max_latency_ms is not None:
        check_in_time(latency_probe(job), floor.macs)


def counted(job: PreparedJob) -> Coupling:
    """Return the coupling as the target counts: with the bytes of the file where these are limited."""
    if job.recipe.target.max_bytes is None:
        return job.coupling
    return job.coupling.in_file(job.original.bytes)


def _end(
    job: PreparedJob,
    start: Cost,
    asked: Budget,
    provenance: dict[str, str],
    folder: Path,
    *,
    resumable: bool,
) -> Budget:
    """Return where the path ends, so that files are small and answers fast enough. Raises TargetInfeasible."""
    floor, added = _narrowest(job, asked, provenance, folder)
    if job.recipe.target.max_latency_ms is not None:
        kept = folder / "in-time.json" if resumable else None
        asked = asked.also("macs", macs_in_time(latency_probe(job), floor.macs, kept))
    return path_end(asked, start, floor, added)


def _narrowest(
    job: PreparedJob, asked: Budget, provenance: dict[str, str], folder: Path
) -> tuple[Cost, int]:
    """Return what stays at least, and the bytes that its file has besides. Raises TargetInfeasible above the budget."""
    coupling = job.coupling
    removable = all_that_can_go(coupling, job.recipe.prune.min_nodes)
    floor, added = cost_of(coupling, removable), 0
    if job.recipe.target.max_bytes is not None:
        added = growth(job.original.graph, coupling, removable, provenance, folder)
    check_feasible(asked, replace(floor, bytes=floor.bytes + added))
    return floor, added


def latency_probe(job: PreparedJob) -> LatencyProbe:
    """Return what times narrower copies of the original on its own rows."""
    limit = job.recipe.target.max_latency_ms
    assert limit is not None
    rows = first_rows(job.splits.validation, 1)
    prune = job.recipe.prune
    grid = grid_of(job.coupling, prune.round_to)
    return LatencyProbe(job.original, job.coupling, grid, prune.min_nodes, limit, rows)


def swap_noise(job: PreparedJob) -> float:
    """Return the share of inputs to swap while training: what is asked for, or what the original can bear."""
    asked = job.recipe.training.swap_noise
    if asked is not None:
        return asked
    return calibrate_swap_noise(job.original, job.meaning, job.splits, job.recipe.seed)


def start_run(
    job: PreparedJob, planned: RunPlan, form: type[SpectralModel] | None = None
) -> CompressionRun:
    """Return the run of this plan, at its start; `form` puts another form of the model under it."""
    policy = policy_of(planned.recipe)
    held_as, feed = form or policy.form, planned.feed
    return CompressionRun(planned, policy(planned), lambda: start_trainer(job, feed, held_as))


def start_trainer(
    job: PreparedJob, feed: Feed, held_as: type[SpectralModel] = SpectralModel
) -> Trainer:
    """Hold the uploaded model in spectral form, with a second copy of it as the teacher."""
    teacher = None
    if job.objective.needs_teacher:
        original = job.module().to(job.device)
        teacher = Teacher(original, job.objective.watch, feed, job.objective.joined)
    module, coupling = normalized(job, feed)
    if job.recipe.spectral.init == "fresh":
        draw_weights(module, coupling, job.recipe.seed)
    model = held_as(module, coupling, policy_of(job.recipe).trunk_options(job.recipe))
    return Trainer(model, job.objective, teacher, job.recipe.training, job.device)


def normalized(job: PreparedJob, feed: Feed) -> tuple[OnnxModule, Coupling]:
    """Return the uploaded model as it is trained: with the normalisations that its exporter folded away."""
    module = job.module()
    found = normalize(module.to(job.device), job.coupling, feed)
    if found is None:
        return module, job.coupling
    return OnnxModule(found.model, module.rows), found.coupling
