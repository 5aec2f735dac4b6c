"""One spectral training that narrows the model on its way; candidates branch off it.

1. Hold every transfer as eigenvalues and eigenvectors, exact at the start.
2. Train towards labels and the original model's answers.
3. At each event remove the least relevant node groups: fold their means into the next biases, cut them out of
   graph, parameters and optimiser, and train on. What is trained is at every moment the cut model itself.
4. At each level copy the model, let the copy cool down, export it, prove it, measure it on validation rows.

The schedule says when: methods/prune.py and methods/retrain.py lay it out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.cost.budget import Cost, cost_of
from spectral_engine.cost.ranking import choose_removal, even_floors, floors
from spectral_engine.errors import Diverged
from spectral_engine.methods.annealing import cool
from spectral_engine.methods.candidate import Built, copy_source, export, prove_exact
from spectral_engine.methods.compensation import fold_means
from spectral_engine.methods.run_plan import Task
from spectral_engine.methods.schedule import Event
from spectral_engine.onnx_io.source import files_bytes
from spectral_engine.records.progress import CandidateFile, Progress, Stage
from spectral_engine.records.recipe import Trains
from spectral_engine.records.report import Links, PathPoint, TopologyPoint
from spectral_engine.spectral.relevance import Relevance
from spectral_engine.training.checkpoint import load_checkpoint, save_checkpoint, to_tensor
from spectral_engine.training.rate import USUAL, find_rate, steps_of_test
from spectral_engine.training.trainer import Trainer

RATE_AFTER_DIVERGENCE = 1 / 3
# Of the walk after one on which nothing kept the floor: of its rate, and of the way to its narrow end.
GENTLE_RATE, GENTLE_REACH = 1 / 5, 0.35
LOSS_MEMORY = 0.98
EVEN_SHARE = 0.5  # of a layer's even part of the nodes that are left: what a score cannot take
SPILLED_BYTES = 2**30  # a trunk that is larger waits on disk while a branch trains


@dataclass
class Walk:
    """Where the path stands: all that a checkpoint must hold besides the trainer."""

    step: int = 0
    events_done: int = 0
    rate: float = 0.0  # the learning rate, before the schedule's share; 0 until it is found
    retried: bool = False
    gentle: bool = False  # the second walk, at a lower rate and not so far
    loss: float = 0.0
    points: list[PathPoint] = field(default_factory=list)
    topology: list[TopologyPoint] = field(default_factory=list)


class SpectralPath:
    """Walks the path from wide to narrow; resumes from its last checkpoint."""

    def __init__(self, task: Task, start_trainer: Callable[[], Trainer]) -> None:
        self.task, self.start_trainer = task, start_trainer
        self.built: list[Built] = []
        self.warnings: list[str] = []
        self.lent = False
        self.least = floors(task.coupling, task.recipe.prune.min_nodes)
        self._reset()
        self.first_eigenvalues = self.last_eigenvalues.copy()

    def _reset(self) -> None:
        recipe = self.task.recipe
        self.trainer = self.start_trainer()
        self.relevance = Relevance(self.trainer.model, recipe.prune.score, recipe.seed)
        count = self.task.coupling.count
        self.removed = np.zeros(count, dtype=bool)
        self.removed_at = np.full(count, -1, dtype=np.int64)
        self.last_relevance = np.zeros(count)
        self.last_eigenvalues = self.relevance.eigenvalues()
        self.walk = Walk()

    def run(self) -> list[Built]:
        """Return the candidates, from wide to narrow; raises Diverged where a lower rate does not help."""
        self._resume()
        self.walk.rate = self.walk.rate or self._first_rate()
        try:
            self._walk()
        except Diverged as error:
            if self.walk.retried:
                raise
            self._start_over(error)
            self._walk()
        self.trainer.stop()
        return self.built

    def run_gently(self) -> list[Built]:
        """Walk once more from the original, at a lower rate and not so far; return the candidates of both walks.

        A rate that is right for many rows makes a model forget on few what it knew of others.
        """
        if self.walk.gentle:  # walked before a run that was stopped
            return self.built
        self.warnings.append(
            "no candidate keeps the floor on validation rows: trained once more, at a fifth of the rate and "
            "towards wider models"
        )
        self._tell("training", warning=self.warnings[-1])
        rate = self.walk.rate * GENTLE_RATE
        self._begin_again(rate, gentle=True)
        with suppress(Diverged):  # what was found before stays
            self._walk()
        self.trainer.stop()
        return self.built

    def _begin_again(self, rate: float, *, gentle: bool = False) -> None:
        del self.trainer, self.relevance  # before there are others: each is as large as the model
        self._reset()
        self.walk.rate, self.walk.retried, self.walk.gentle = rate, True, gentle

    def _first_rate(self) -> float:
        asked = self.task.recipe.training.learning_rate
        if asked is not None:
            return asked
        schedule = self.task.schedule
        steps = steps_of_test(schedule.trunk_steps + schedule.cooling_steps)
        if steps == 0:
            return USUAL
        self._tell("training", "finding the learning rate")
        twin = self._lend()
        rate = find_rate(twin, self.task.feed, self.task.recipe.seed, steps)
        del twin
        self._take_back()
        return rate

    def _start_over(self, error: Diverged) -> None:
        self.warnings.append(f"{error.detail}; training began again at a third of the rate")
        self._tell("training", warning=self.warnings[-1])
        self.built.clear()
        self._begin_again(self.walk.rate * RATE_AFTER_DIVERGENCE)

    def _walk(self) -> None:
        schedule, feed, seed = self.task.schedule, self.task.feed, self.task.recipe.seed
        self._narrow_where_due()  # what was due when a checkpoint was written between the cuts of one step
        while self.walk.step < schedule.trunk_steps:
            rate = schedule.trunk_share(self.walk.step) * self.walk.rate
            batch = feed.at_step(self.walk.step, seed)
            self._before_step()
            loss = self.trainer.step(batch, rate, after_backward=self._observe)
            self.walk.step += 1
            memory = LOSS_MEMORY if self.walk.step > 1 else 0.0
            self.walk.loss = memory * self.walk.loss + (1 - memory) * loss
            self._tell("training", metrics={"loss": self.walk.loss})
            self._narrow_where_due()
            if self.walk.step % feed.steps_per_epoch == 0:
                self._save()

    def _before_step(self) -> None:
        """Get ready for a step of the trunk."""

    def _observe(self) -> None:
        """Read the gradients of a step before they are used."""
        self.relevance.observe()

    def _narrow_where_due(self) -> None:
        events = self.task.schedule.events
        while self.walk.events_done < len(events):
            event = events[self.walk.events_done]
            if event.step > self.walk.step:
                return
            self._narrow(event)
            self.walk.events_done += 1
            if event.level is not None and self._is_new():
                self._branch(len(self.built))
                self._save()

    def _narrow(self, event: Event) -> None:
        model = self.trainer.model
        scores = self.relevance.scores()
        alive = model.coupling.alive()
        self.last_relevance = np.where(alive, scores, self.last_relevance)
        self.last_eigenvalues = np.where(alive, self.relevance.eigenvalues(), self.last_eigenvalues)
        going = self._choose(scores, event)
        if going.any():
            if self._compensates:
                fold_means(model, going, self.task.feed)
            self.trainer.narrow(going)
            self.relevance.attach(self.trainer.model)
            self.removed |= going
            self.removed_at[going] = self.walk.step
        self._note_point()

    def _choose(self, scores: NDArray[np.float64], event: Event) -> NDArray[np.bool_]:
        """Mark the groups that go at this event [count]."""
        reach = GENTLE_REACH if self.walk.gentle else 1.0
        budget = self.task.end.along_path(self.task.start, reach * event.fraction)
        coupling = self.trainer.model.coupling
        even = even_floors(self.task.coupling, coupling, self.least, EVEN_SHARE)
        chosen = choose_removal(coupling, scores, budget, even, self._price)
        if not budget.exceeded_by(self._price(chosen)):
            return chosen
        return choose_removal(coupling, scores, budget, self.least, self._price)

    def _price(self, going: NDArray[np.bool_]) -> Cost:
        """Return what a candidate costs once these go too: without what the training alone puts in."""
        return cost_of(self.task.coupling, self.removed | going)

    @property
    def _compensates(self) -> bool:
        return self.task.recipe.prune.compensate == "mean"

    def _note_point(self) -> None:
        cost = cost_of(self.task.coupling, self.removed)
        self.walk.points.append(
            PathPoint(
                step=self.walk.step,
                epoch=self.walk.step / self.task.feed.steps_per_epoch,
                nodes=cost.nodes,
                params=cost.params,
                macs=cost.macs,
                loss=self.walk.loss,
            )
        )

    def _is_new(self) -> bool:
        """Say whether anything went since the last candidate: at the floor nothing does."""
        return not self.built or bool((self.removed != self.built[-1].removed).any())

    def _branch(self, level: int) -> None:
        """Copy the trunk, cool the copy down, and keep it as a candidate."""
        twin = self._lend(self.task.schedule.branch_trains)

        def tell(step: int, loss: float) -> None:
            self._tell("fine_tuning", metrics={"loss": loss}, branch=level, branch_step=step)

        cool(twin, self.task, self.walk.rate, tell)
        self._keep(level, twin)
        del twin
        self._take_back()

    def _lend(self, trains: Trains | None = None) -> Trainer:
        """Return a copy of the trunk; a large trunk waits on disk until `_take_back`."""
        self.lent = self.trainer.nbytes > SPILLED_BYTES
        return self.trainer.lend(self._spill, trains) if self.lent else self.trainer.fork(trains)

    def _take_back(self) -> None:
        if self.lent:
            self.trainer.take_back(self._spill)

    @property
    def _spill(self) -> Path:
        return self.task.work_dir / "trunk.safetensors"

    def _keep(self, level: int, twin: Trainer) -> None:
        recipe = self.task.recipe
        eigenvalues = Relevance(twin.model, recipe.prune.score, recipe.seed).eigenvalues()
        self._tell("exporting", branch=level, branch_step=self.task.schedule.cooling_steps)
        path = self.task.work_dir / f"candidate-{level}.onnx"
        external = export(twin.model, self.task.provenance, path)
        exactness = prove_exact(
            self.task.original, self.task.coupling, self.removed, path, self.task.samples
        )
        built = Built(
            index=level,
            path=path,
            external=external,
            cost=replace(
                cost_of(self.task.coupling, self.removed), bytes=files_bytes((path, *external))
            ),
            validation_metric=self.task.measure(path),
            exactness=exactness,
            removed=self.removed.copy(),
            removed_at=self.removed_at.copy(),
            relevance=self.last_relevance.copy(),
            eigenvalues=np.where(self.removed, self.last_eigenvalues, eigenvalues),
            trained_parameters=sum(item.tensor.numel() for item in twin.held.values()),
            links=self._count_links(path),
        )
        built.save()
        self.built.append(built)
        self.walk.points[-1] = self.walk.points[-1].model_copy(
            update={"validation_metric": built.validation_metric}
        )
        self._announce(built)

    def keep_original(self) -> None:
        """Add the original, as it came, for the case that no narrower model is good enough."""
        task, level = self.task, len(self.built)
        nothing = np.zeros(task.coupling.count, dtype=bool)
        path = task.work_dir / f"candidate-{level}.onnx"
        external = copy_source(task.original, path)
        built = Built(
            index=level,
            path=path,
            external=external,
            cost=replace(task.start, bytes=files_bytes((path, *external))),
            validation_metric=task.measure(path),
            exactness=prove_exact(task.original, task.coupling, nothing, path, task.samples),
            removed=nothing,
            removed_at=np.full(task.coupling.count, -1, dtype=np.int64),
            relevance=self.last_relevance.copy(),
            eigenvalues=self.first_eigenvalues.copy(),
            trained_parameters=0,
            unchanged=True,
        )
        self.built.append(built)
        self._announce(built)

    def _count_links(self, candidate: Path) -> Links | None:
        """Return what is left of the links in a candidate's file, where the method removes some."""
        del candidate
        return None

    def _announce(self, built: Built) -> None:
        file = CandidateFile(
            index=built.index,
            path=built.path,
            external=built.external,
            nodes=built.cost.nodes,
            params=built.cost.params,
            macs=built.cost.macs,
            metric_name=self.task.metric_name,
            validation_metric=built.validation_metric,
        )
        self._tell(
            "exporting",
            branch=built.index,
            branch_step=self.task.schedule.cooling_steps,
            candidate=file,
        )

    def _tell(
        self,
        stage: Stage,
        message: str = "",
        *,
        branch: int | None = None,
        branch_step: int = 0,
        **news: Any,
    ) -> None:
        schedule = self.task.schedule
        cooled = len(self.built) if branch is None else branch
        done = self.walk.step + cooled * schedule.cooling_steps + branch_step
        if news.get("candidate") is not None:
            done = self.walk.step + len(self.built) * schedule.cooling_steps
        done = min(done, schedule.total_steps)  # an original that is kept comes after the last
        self.task.on_progress(
            Progress(
                stage,
                fraction=done / schedule.total_steps,
                step=done,
                total_steps=schedule.total_steps,
                message=message,
                **news,
            )
        )

    # Checkpoints: what is saved after a step is all that the next step reads.

    def _save(self) -> None:
        if not self.task.resumable:
            return
        tensors = {f"trainer.{name}": tensor for name, tensor in self.trainer.tensors().items()}
        for name in ("removed", "removed_at", "last_relevance", "last_eigenvalues"):
            tensors[f"path.{name}"] = to_tensor(getattr(self, name))
        tensors["path.running"] = to_tensor(self.relevance.running)
        tensors |= self._own_tensors()
        numbers = {
            "walk": {
                **vars(self.walk),
                "points": [point.model_dump() for point in self.walk.points],
                "topology": [point.model_dump() for point in self.walk.topology],
            },
            "built": len(self.built),
            "observed": self.relevance.observed,
            "steps": self.trainer.steps,
        }
        save_checkpoint(self._checkpoint, tensors, numbers)

    def _resume(self) -> None:
        stored = load_checkpoint(self._checkpoint)
        if stored is None:
            return
        tensors, numbers = stored
        walk = numbers["walk"]
        points = [PathPoint.model_validate(point) for point in walk.pop("points")]
        topology = [TopologyPoint.model_validate(point) for point in walk.pop("topology", [])]
        self.walk = replace(Walk(**walk), points=points, topology=topology)
        removed = tensors["path.removed"].numpy()
        if removed.any():
            self.trainer.narrow(removed)
        for name in ("removed", "removed_at", "last_relevance", "last_eigenvalues"):
            setattr(self, name, tensors[f"path.{name}"].numpy().copy())
        state = {
            name.removeprefix("trainer."): tensor
            for name, tensor in tensors.items()
            if name.startswith("trainer.")
        }
        self.trainer.restore(state, numbers["steps"])
        self.relevance.attach(self.trainer.model)
        self.relevance.running = tensors["path.running"].numpy().copy()
        self.relevance.observed = numbers["observed"]
        self.built = [
            Built.load(self.task.work_dir / f"candidate-{index}.onnx")
            for index in range(numbers["built"])
        ]
        self._restore_own(tensors)

    def _own_tensors(self) -> dict[str, Tensor]:
        """Return what a method needs to go on, besides the trainer and the walk."""
        return {}

    def _restore_own(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `_own_tensors` gave."""

    @property
    def _checkpoint(self) -> Path:
        return self.task.work_dir / "checkpoint.safetensors"
