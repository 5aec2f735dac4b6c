"""`compress`: ONNX and data in, narrower ONNX and report out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spectral_engine.cost.budget import (
    Budget,
    Cost,
    asked_budget,
    check_feasible,
    cost_of,
    path_end,
)
from spectral_engine.cost.file_size import growth
from spectral_engine.cost.latency_budget import Stopwatch, macs_in_time
from spectral_engine.cost.ranking import all_that_can_go
from spectral_engine.graph.coupling import Coupling
from spectral_engine.graph.loading import load
from spectral_engine.graph.module import OnnxModule
from spectral_engine.judging.facts import Finished, build_report, provenance_properties
from spectral_engine.judging.seen_rows.look import look, needs_rehearsal
from spectral_engine.judging.seen_rows.rehearsal import rehearse, share_of_rehearsal
from spectral_engine.methods.candidate import Built
from spectral_engine.methods.prune.plan import plan_pruning
from spectral_engine.methods.retrain.plan import plan_retraining
from spectral_engine.methods.run import SpectralPath
from spectral_engine.methods.run_plan import Task
from spectral_engine.methods.schedule import Schedule
from spectral_engine.methods.sparse.model import SparseModel
from spectral_engine.methods.sparse.plan import SparsePath, plan_sparse
from spectral_engine.onnx_io.source import source_bytes
from spectral_engine.preparation.prepare import Setup, first_rows, prepare
from spectral_engine.records.labels import LabelsOption
from spectral_engine.records.progress import OnProgress, Progress, Stage, ignore
from spectral_engine.records.recipe import Recipe, Spectral
from spectral_engine.result import Candidate, ReportFile, Result
from spectral_engine.spectral.fresh import draw_weights
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Feed
from spectral_engine.training.normalization import normalize
from spectral_engine.training.swap_noise import find_share
from spectral_engine.training.teacher import Teacher
from spectral_engine.training.trainer import Trainer
from spectral_engine.unforeseen import unforeseen
from spectral_engine.work_dir import Folder

EXACTNESS_ROWS = 64
TRAINING_BEGINS, TRAINING_ENDS = 0.04, 0.94  # of the whole job's progress


def compress(
    model: str | Path | bytes,
    data: str | Path,
    recipe: Recipe | dict[str, Any] | str | None = None,
    on_progress: OnProgress = ignore,
    work_dir: Path | None = None,
    *,
    label: str | None = None,
    preprocessing: dict[str, Any] | None = None,
    labels: LabelsOption | dict[str, Any] | None = None,
) -> Result:
    """Retrain a model in spectral space, remove the nodes that do not matter, and report what it cost.

    `model` is an ONNX file or its bytes, `data` an .npz, .csv or .parquet file, or images: a folder, .zip or .tar.
    With a `work_dir`, checkpoints are written there, and a second call with the same arguments resumes from them and
    gives the same result.
    Raises an EngineError that names the field, the node or the row, before training starts where it can be known.
    """
    tell, asked = _Clock(on_progress), Recipe.parse(recipe)
    with unforeseen(lambda: tell.stage.replace("_", " "), tell.is_callers):
        tell("importing", 0.0)
        setup = prepare(model, data, asked, label=label, preprocessing=preprocessing, labels=labels)
        setup.objective.refuse_untrainable()
        return _compress(setup, tell, work_dir)


def _compress(setup: Setup, tell: _Clock, work_dir: Path | None) -> Result:
    folder = Folder(work_dir)
    started = time.time()
    task = plan(setup, folder.path, ignore, resumable=folder.stays)
    tell("measuring_baseline", TRAINING_BEGINS / 2)
    baseline = setup.evaluation.validation_metric(setup.original)
    memory = look(setup, task.work_dir if task.resumable else None, tell.send)
    wanted = needs_rehearsal(setup, memory)
    rest = (TRAINING_ENDS - TRAINING_BEGINS) * (share_of_rehearsal(task) if wanted else 0.0)
    own = tell.within(TRAINING_BEGINS, TRAINING_ENDS - rest)
    path = path_of(setup, replace(task, on_progress=own))
    built = path.run()
    if wanted:
        again = tell.within(TRAINING_ENDS - rest, TRAINING_ENDS)
        memory = replace(memory, rehearsal=rehearse(setup, task, path_of, again))
    elif nothing_keeps_the_floor(setup, built):
        first_walk = len(built)
        if may_walk_again(setup.recipe):
            built = path.run_gently()
        if nothing_keeps_the_floor(setup, built[first_walk:]):
            path.keep_original()
    seconds = time.time() - started
    files = [item.path for item in built]
    tell("verifying", TRAINING_ENDS)
    report = build_report(Finished(setup, task, path, files, baseline, memory, started, seconds))
    tell("reporting", 1.0)
    candidates = (
        Candidate(entry, item.path, item.external, folder)
        for entry, item in zip(report.candidates, built, strict=True)
    )
    return Result(tuple(candidates), ReportFile(report))


def nothing_keeps_the_floor(setup: Setup, built: Sequence[Built]) -> bool:
    """Say whether each candidate's drop on validation rows is above what is allowed by more than a standard error.

    Only where nothing but the floor is asked for: the original meets no budget.
    """
    target, evaluation = setup.recipe.target, setup.evaluation
    floor = target.max_metric_drop
    if floor is None or target.narrowing or target.density is not None:
        return False
    return all(evaluation.validation_drop(item.path).interval.low > floor for item in built)


def may_walk_again(recipe: Recipe) -> bool:
    """Say whether another rate and another end are ours to choose, and the uploaded weights are where to begin."""
    open_rate = recipe.training.learning_rate is None and recipe.spectral.init != "fresh"
    return recipe.method == "prune" and open_rate


def plan(setup: Setup, folder: Path, on_progress: OnProgress, *, resumable: bool = True) -> Task:
    """Lay out the path from wide to narrow; raises TargetInfeasible where no cut can meet the target."""
    recipe, coupling = setup.recipe, setup.coupling
    if recipe.target.max_bytes is not None:
        coupling = coupling.in_file(source_bytes(setup.original))
    start = cost_of(coupling, ~coupling.alive())
    asked = asked_budget(recipe.target, start)
    provenance = provenance_properties(setup)
    end = _end(
        replace(setup, coupling=coupling), start, asked, provenance, folder, resumable=resumable
    )
    feed = Feed(
        setup.splits.train, recipe.training.batch_size, setup.device, swaps=swap_noise(setup)
    )
    return Task(
        recipe=recipe,
        original=setup.original,
        coupling=coupling,
        start=start,
        asked=asked,
        end=end,
        schedule=plan_schedule(recipe, feed.steps_per_epoch),
        feed=feed,
        validation=Feed(setup.splits.validation, recipe.training.batch_size, setup.device),
        score=setup.evaluation.validation_score,
        samples=first_rows(setup.splits.validation, EXACTNESS_ROWS).inputs,
        metric_name=setup.evaluation.metric,
        measure=setup.evaluation.validation_metric,
        provenance=provenance,
        work_dir=folder,
        on_progress=on_progress,
        resumable=resumable,
    )


def _end(
    setup: Setup,
    start: Cost,
    asked: Budget,
    provenance: dict[str, str],
    folder: Path,
    *,
    resumable: bool,
) -> Budget:
    """Return where the path ends, so that files are small and answers fast enough. Raises TargetInfeasible."""
    coupling, target = setup.coupling, setup.recipe.target
    removable = all_that_can_go(coupling, setup.recipe.prune.min_nodes)
    floor, added = cost_of(coupling, removable), 0
    if target.max_bytes is not None:
        added = growth(setup.original, coupling, removable, provenance, folder)
    check_feasible(asked, replace(floor, bytes=floor.bytes + added))
    if target.max_latency_ms is not None:
        kept = folder / "in-time.json" if resumable else None
        asked = asked.also("macs", macs_in_time(stopwatch(setup), floor.macs, kept))
    return path_end(asked, start, floor, added)


def stopwatch(setup: Setup) -> Stopwatch:
    """Return what times narrower copies of the original on its own rows."""
    limit = setup.recipe.target.max_latency_ms
    assert limit is not None
    feeds = first_rows(setup.splits.validation, 1).inputs
    return Stopwatch(setup.original, setup.coupling, setup.recipe.prune.min_nodes, limit, feeds)


def swap_noise(setup: Setup) -> float:
    """Return the share of inputs to swap while training: what is asked for, or what the original can bear."""
    asked = setup.recipe.training.swap_noise
    if asked is not None:
        return asked
    return find_share(setup.original, setup.meaning, setup.splits, setup.recipe.seed)


def path_of(setup: Setup, task: Task, held_as: type[SpectralModel] | None = None) -> SpectralPath:
    """Return the path that this method walks; `held_as` puts another form of the model under it."""
    sparse = setup.recipe.method == "sparse"
    form = held_as or (SparseModel if sparse else SpectralModel)
    walked = SparsePath if sparse else SpectralPath
    return walked(task, lambda: start_trainer(setup, task.feed, form))


def plan_schedule(recipe: Recipe, steps_per_epoch: int) -> Schedule:
    """Lay out the training that this method asks for."""
    if recipe.method == "retrain":
        return plan_retraining(recipe.training, steps_per_epoch)
    if recipe.method == "sparse":
        return plan_sparse(recipe.training, steps_per_epoch)
    return plan_pruning(recipe.training, recipe.prune, steps_per_epoch)


def start_trainer(
    setup: Setup, feed: Feed, held_as: type[SpectralModel] = SpectralModel
) -> Trainer:
    """Hold the uploaded model in spectral form, with a second copy of it as the teacher."""
    teacher = None
    if setup.objective.needs_teacher:
        original = load(setup.original).to(setup.device)
        objective = setup.objective
        teacher = Teacher(original, objective.watch, feed, objective.by_row)
    module, coupling = normalized(setup, feed)
    if setup.recipe.spectral.init == "fresh":
        draw_weights(module, coupling, setup.recipe.seed)
    model = held_as(module, coupling, trunk_options(setup.recipe))
    return Trainer(model, setup.objective, teacher, setup.recipe.training, setup.device)


def trunk_options(recipe: Recipe) -> Spectral:
    """Return what trains at first: the eigenvalues alone before a pruning that waits for them."""
    if recipe.method == "prune" and recipe.prune.when == "pre":
        return recipe.spectral.model_copy(update={"train": "eigenvalues"})
    return recipe.spectral


def normalized(setup: Setup, feed: Feed) -> tuple[OnnxModule, Coupling]:
    """Return the uploaded model as it is trained: with the normalisations that its exporter folded away."""
    module = load(setup.original)
    found = normalize(module.to(setup.device), setup.coupling, feed)
    if found is None:
        return module, setup.coupling
    return OnnxModule(found.model), found.coupling


class _Clock:
    """Tells progress: never falls, and knows how long the rest will take."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.on_progress, self.begun, self.reached = on_progress, time.monotonic(), 0.0
        self.first: tuple[float, float] | None = None
        self.stage: Stage = "importing"
        self.raised: Exception | None = None

    def __call__(self, stage: Stage, fraction: float) -> None:
        self.send(Progress(stage, fraction, step=0, total_steps=0))

    def within(self, low: float, high: float) -> Callable[[Progress], None]:
        """Return a callback whose own 0 to 1 lies between `low` and `high` of the whole."""

        def scaled(progress: Progress) -> None:
            self.send(replace(progress, fraction=low + (high - low) * progress.fraction))

        return scaled

    def send(self, progress: Progress) -> None:
        """Pass on what is told, with how far the whole job is by now."""
        self.reached = max(self.reached, min(1.0, progress.fraction))
        now = time.monotonic()
        if self.first is None and progress.stage == "training":
            self.first = (now, self.reached)
        eta = None
        if self.first is not None and self.reached > self.first[1]:
            pace = (now - self.first[0]) / (self.reached - self.first[1])
            eta = pace * (1 - self.reached)
        self.stage = progress.stage
        try:
            self.on_progress(replace(progress, fraction=self.reached, eta_seconds=eta))
        except Exception as error:
            self.raised = error
            raise

    def is_callers(self, error: Exception) -> bool:
        """Say whether an error came out of the callback."""
        return error is self.raised
