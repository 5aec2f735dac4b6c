"""From a prepared job to a run that can start: the plan, the teacher, and the model in the form that trains."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from spectral_engine.cost.blocks import grid_for, settle
from spectral_engine.cost.reach import Reach
from spectral_engine.graph.coupling import Coupling
from spectral_engine.graph.module import OnnxModule
from spectral_engine.methods.policy import policy_of
from spectral_engine.methods.run import CompressionRun
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.preparation.prepare import PreparedJob
from spectral_engine.preparation.provenance import provenance_of
from spectral_engine.records.method import METHODS
from spectral_engine.records.progress import OnProgress
from spectral_engine.records.recipe import Recipe
from spectral_engine.spectral.fresh import draw_weights
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Feed
from spectral_engine.training.normalization import normalize
from spectral_engine.training.passes import ONE_DEVICE, Passes
from spectral_engine.training.ranks.splitting import devices_from, split_rows
from spectral_engine.training.swap_noise import calibrate_swap_noise
from spectral_engine.training.teacher import Teacher
from spectral_engine.training.trainer import Trainer, computes_in_half

EXACTNESS_ROWS = 64


def plan(
    job: PreparedJob, folder: Path, on_progress: OnProgress, *, resumable: bool = True
) -> RunPlan:
    """Lay out the path from wide to narrow; raises TargetInfeasible where no cut can meet the target."""
    recipe = with_blocks(job, folder / "blocks.json" if resumable else None)
    reach = reach_of(job, recipe)
    end = reach.end(folder, folder / "in-time.json" if resumable else None)
    feed = Feed(job.splits.train, recipe.training.batch_size, job.device, swaps=swap_noise(job))
    return RunPlan(
        recipe=recipe,
        original=job.original,
        coupling=reach.coupling,
        start=reach.start,
        asked=reach.asked,
        end=end,
        schedule=policy_of(recipe).schedule(recipe, feed.steps_per_epoch),
        feed=feed,
        validation=Feed(job.splits.validation, recipe.training.batch_size, job.device),
        score=job.evaluation.validation_score,
        samples=job.splits.validation.first(EXACTNESS_ROWS),
        metric_name=job.evaluation.metric,
        measure=job.evaluation.validation_metric,
        drop_of=job.evaluation.validation_drop,
        provenance=provenance_of(job),
        work_dir=folder,
        on_progress=on_progress,
        in_time=reach.in_time,
        resumable=resumable,
    )


def refuse_infeasible(job: PreparedJob) -> None:
    """Raise the TargetInfeasible with which `plan` would stop."""
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        reach_of(job, with_blocks(job)).check(Path(folder))


def with_blocks(job: PreparedJob, kept: Path | None = None) -> Recipe:
    """Return the recipe with the blocks that widths are rounded to; a job that resumes finds them in `kept`."""
    recipe = job.recipe
    if not METHODS.get(recipe.method).removes_nodes:
        return recipe
    settled = settle(job.coupling, recipe.prune.round_to, kept)
    return recipe.model_copy(
        update={"prune": recipe.prune.model_copy(update={"round_to": settled})}
    )


def reach_of(job: PreparedJob, recipe: Recipe) -> Reach:
    """Return what the target asks of the original; its time is that of one of the job's own rows."""
    coupling, prune = counted(job), recipe.prune
    removes = METHODS.get(recipe.method).removes_nodes
    return Reach(
        original=job.original,
        coupling=coupling,
        target=recipe.target,
        grid=grid_for(coupling, prune.round_to if removes else 1, recipe.target),
        min_nodes=prune.min_nodes,
        row=lambda: job.splits.validation.first(1),
        provenance=provenance_of(job),
    )


def counted(job: PreparedJob) -> Coupling:
    """Return the coupling as the target counts: with the bytes of the file where these are limited."""
    if job.recipe.target.max_bytes is None:
        return job.coupling
    return job.coupling.in_file(job.original.bytes)


def swap_noise(job: PreparedJob) -> float:
    """Return the share of inputs to swap while training: what is asked for, or what the original can bear."""
    asked = job.recipe.training.swap_noise
    if asked is not None:
        return asked
    if job.recipe.training.epochs == 0:
        return 0.0
    return calibrate_swap_noise(job.original, job.meaning, job.splits, job.recipe.seed)


def start_run(
    job: PreparedJob, planned: RunPlan, form: type[SpectralModel] | None = None
) -> CompressionRun:
    """Return the run of this plan, at its start; `form` puts another form of the model under it."""
    policy = policy_of(planned.recipe)
    model_form, feed, passes = form or policy.form, planned.feed, planned.passes
    teaches = planned.schedule.trains
    return CompressionRun(
        planned,
        policy(planned),
        lambda: start_trainer(job, feed, model_form, passes, teaches=teaches),
    )


def start_trainer(
    job: PreparedJob,
    feed: Feed,
    form: type[SpectralModel] = SpectralModel,
    passes: Passes = ONE_DEVICE,
    *,
    teaches: bool = True,
) -> Trainer:
    """Hold the uploaded model in spectral form, with a second copy of it as the teacher where it `teaches`."""
    teacher = None
    if teaches and job.objective.needs_teacher:
        original = job.module().to(job.device)
        teacher = Teacher(original, job.objective.watch, feed, job.objective.joined)
    module, coupling = normalized(job, feed)
    if job.recipe.spectral.init == "fresh":
        draw_weights(module, coupling, job.recipe.seed)
    model = form(module, coupling, policy_of(job.recipe).trunk_options(job.recipe))
    return Trainer(model, job.objective, teacher, job.recipe.training, job.device, passes)


def passes_of(job: PreparedJob, folder: Path) -> AbstractContextManager[Passes]:
    """Return what computes the steps of a job's training: this process, or several while the context lasts.

    Raises InvalidRequest where the batches cannot be split among so many devices.
    """
    training = job.recipe.training
    if training.devices == 1 or training.epochs == 0:
        return nullcontext(ONE_DEVICE)
    from spectral_engine.training.ranks.data_parallel import DataParallel

    batch_rows = min(training.batch_size, job.splits.train.rows)
    at_once = job.rows.for_values(job.objective.watch).at_once
    split_rows(batch_rows, training.devices, at_once)
    half = computes_in_half(training.precision, job.device)
    return DataParallel(devices_from(job.device, training.devices), folder / "ranks", half)


def normalized(job: PreparedJob, feed: Feed) -> tuple[OnnxModule, Coupling]:
    """Return the uploaded model as it is trained: with the normalisations that its exporter folded away."""
    module = job.module()
    normalization = normalize(module.to(job.device), job.coupling, feed)
    if normalization is None:
        return module, job.coupling
    return OnnxModule(normalization.model, module.rows), normalization.coupling
