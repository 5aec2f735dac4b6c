"""One spectral training that narrows the model on its way; candidates branch off it.

1. Hold every transfer as eigenvalues and eigenvectors, exact at the start.
2. Train towards labels and the original model's answers.
3. At each event remove the least relevant node groups: let their readers make good what they told, cut them out of
   graph, parameters and optimiser, and train on. What is trained is at every moment the cut model itself.
4. At each level copy the model, let the copy cool down, export it, prove it, measure it on validation rows.

The policy of the method lays out when (`policy.py`), and says what goes; `checkpoint.py` stores where the run stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spectral_engine.compensation import CALIBRATION_ROWS
from spectral_engine.cost.budget import cost_of
from spectral_engine.cost.removal import RemovalPlan
from spectral_engine.errors import Diverged
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.methods.annealing import anneal
from spectral_engine.methods.candidate import (
    Built,
    Cut,
    copy_original,
    export,
    prove_exact,
    untrained,
)
from spectral_engine.methods.checkpoint import Checkpoint
from spectral_engine.methods.compensated_cut import CompensatedCut
from spectral_engine.methods.policy import Policy
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.methods.schedule import Event
from spectral_engine.methods.state import RunState
from spectral_engine.methods.telling import Teller
from spectral_engine.onnx_io.source import files_bytes
from spectral_engine.records.report import PathPoint
from spectral_engine.records.training import Trains
from spectral_engine.spare_memory import give_back
from spectral_engine.spectral.relevance import Relevance
from spectral_engine.training.feed import Batch
from spectral_engine.training.rate import USUAL, find_rate, steps_of_test
from spectral_engine.training.trainer import Trainer

RATE_AFTER_DIVERGENCE = 1 / 3
GENTLE_RATE = 1 / 5  # of the rate of a first way on which nothing kept the floor
LOSS_MEMORY = 0.98
# One batch tells the means of a small share of the nodes well enough where this many steps make up for it.
SMALL_BITE, STEPS_ENOUGH = 0.1, 50
SPILLED_BYTES = 2**28  # a trunk that is larger waits on disk while a branch trains


class CompressionRun:
    """Goes from wide to narrow, and builds candidates on its way.

    Composed of a plan, which does not change; a policy, which decides; a trainer and a state, which do change; and a
    checkpoint, from which `run` goes on where there is one.
    """

    def __init__(self, plan: RunPlan, policy: Policy, start_trainer: Callable[[], Trainer]) -> None:
        self.plan, self.policy, self.start_trainer = plan, policy, start_trainer
        self.teller = Teller(plan)
        self.checkpoint = Checkpoint(plan.work_dir, plan.resumable)
        self.built: list[Built] = []
        self.begin()
        self.first_eigenvalues = self.state.eigenvalues.copy()

    def begin(self) -> None:
        """Start from the uploaded model, at its first step."""
        recipe = self.plan.recipe
        self.trainer = self.start_trainer()
        self.relevance = Relevance(self.trainer.model, recipe.prune.score, recipe.seed)
        self.state = RunState.at_start(self.relevance.eigenvalues())
        self.policy.begin(self.trainer, self.state)
        # Where all cuts come at once it keeps the wide model: its answers are the targets of those who read what goes.
        self.cutting = CompensatedCut(
            self.plan,
            self.policy.compensation,
            self.start_trainer,
            rests=self.plan.schedule.cuts_at_once,
        )

    def run(self) -> list[Built]:
        """Return the candidates, from wide to narrow; raises Diverged where a lower rate does not help."""
        # What follows depends on the recipe and the state alone: a run that goes on from a checkpoint gives the
        # bits of one that was never stopped.
        self._resume()
        self.state.rate = self.state.rate or self._first_rate()
        try:
            self._train()
        except Diverged as error:
            if self.state.gentle:  # what was found before stays
                return self._stopped()
            if self.state.retried:
                raise
            self._start_over(error)
            self._train()
        return self._stopped()

    def run_gently(self) -> list[Built]:
        """Go once more from the original, at a lower rate and not so far; return the candidates of both ways.

        A rate that is right for many rows makes a model forget on few what it knew of others.
        """
        if self.state.gentle:  # gone before a run that was stopped
            return self.built
        self._begin_again(
            self.state.rate * GENTLE_RATE,
            "no candidate keeps the floor on validation rows: trained once more, at a fifth of the rate and "
            "towards wider models",
            gentle=True,
        )
        with suppress(Diverged):  # what was found before stays
            self._train()
        return self._stopped()

    def keep_original(self) -> None:
        """Add the original, as it came, for the case that no narrower model is good enough."""
        # A candidate like the others, with nothing removed: it is proved, measured and told by the same code.
        plan, level = self.plan, len(self.built)
        nothing = np.zeros(plan.coupling.count, dtype=bool)
        path = self._path_of(level)
        opened, external = OpenedModel(path), copy_original(plan.original, path)
        built = Built(
            index=level,
            opened=opened,
            external=external,
            cost=replace(plan.start, bytes=files_bytes((path, *external))),
            validation_metric=plan.measure(opened),
            exactness=prove_exact(
                Cut(plan.original, plan.coupling, nothing),
                opened,
                plan.samples,
                untrained=self.trainer.model.module.names,
            ),
            removal=RemovalPlan.of(nothing),
            removed_at=np.full(plan.coupling.count, -1, dtype=np.int64),
            relevance=self.state.relevance.copy(),
            eigenvalues=self.first_eigenvalues.copy(),
            trained_parameters=0,
            cooling_steps=0,
            unchanged=True,
        )
        self.built.append(built)
        self.teller.announce(built, step=self.state.step, cooled=len(self.built))

    # From wide to narrow.

    def _train(self) -> None:
        schedule, feed = self.plan.schedule, self.plan.feed
        self._narrow_where_due()  # what was due when a checkpoint was written between the cuts of one step
        while self.state.step < schedule.trunk_steps:
            self._step()
            self._narrow_where_due()
            if self.state.step % feed.steps_per_epoch == 0:
                self._save()

    def _step(self) -> None:
        state, plan = self.state, self.plan
        # The schedule is a share of the rate over the steps of the whole run: it does not start anew at a cut.
        rate = plan.schedule.trunk_share(state.step) * state.rate
        batch = plan.feed.at_step(state.step, plan.recipe.seed)
        self.policy.before_step(self.trainer, state.step + 1)
        loss = self.trainer.step(batch, rate, after_backward=self._observe)
        state.step += 1
        # Exponential mean over about fifty batches; it begins at the first loss, not at zero.
        memory = LOSS_MEMORY if state.step > 1 else 0.0
        state.loss = memory * state.loss + (1 - memory) * loss
        self.teller.tell(
            "training", step=state.step, cooled=len(self.built), metrics={"loss": state.loss}
        )

    def _observe(self) -> None:
        self.relevance.observe()
        self.policy.after_backward(self.trainer, self.state, self.state.step + 1)

    def _narrow_where_due(self) -> None:
        events = self.plan.schedule.events
        while self.state.events_done < len(events):
            event = events[self.state.events_done]
            if event.step > self.state.step:
                return
            removal = self._narrow(event)
            self.state.events_done += 1
            # Several events may fall on one step. Each is counted before the run is saved: no cut is made twice.
            # What is not counted yet is made when the run goes on.
            if event.level is not None and self._is_new():
                self._branch(len(self.built), removal, self._steps_of_cooling(event, removal))
                self._save()

    def _narrow(self, event: Event) -> RemovalPlan:
        """Carry out what is planned for this event."""
        # One score for each group of the original coupling [groups], whatever is left of it. `see` keeps the last ones
        # of groups that went, for the report.
        scores, state = self.policy.scores(self.relevance.scores()), self.state
        alive = self.trainer.model.coupling.alive()
        state.see(alive, scores, self.relevance.eigenvalues())
        removal = self.policy.plan_removal(self.trainer, state, scores, event)
        # The plan says what is gone after this event, earlier cuts included. What is new is cut out of parameters, of
        # both moments of the optimiser and of the graph, so that the next step costs less.
        going = removal.removed & ~state.removed
        if going.any():
            # While the nodes still run: what they tell is measured on the model that has them.
            means = self._batches_for_means(going, alive)
            self.cutting.cut(self.trainer, state.removed, going, means)
            self.relevance.attach(self.trainer.model)
            state.mark(going)
        state.points.append(self._point())
        return removal

    def _batches_for_means(
        self, going: NDArray[np.bool_], alive: NDArray[np.bool_]
    ) -> Iterable[Batch]:
        """Return the batch that is next where few nodes go, and many rows where errors of their means add up."""
        feed, seed = self.plan.feed, self.plan.recipe.seed
        many_steps = self.plan.schedule.longest_training >= STEPS_ENOUGH
        if many_steps and going.sum() <= SMALL_BITE * alive.sum():
            return [feed.batch(feed.rows_at(self.state.step, seed))]
        return feed.in_order(CALIBRATION_ROWS)

    def _point(self) -> PathPoint:
        cost, state = cost_of(self.plan.coupling, self.state.removed), self.state
        return PathPoint(
            step=state.step,
            epoch=state.step / self.plan.feed.steps_per_epoch,
            nodes=cost.nodes,
            params=cost.params,
            macs=cost.macs,
            loss=state.loss,
        )

    def _is_new(self) -> bool:
        """Say whether anything went since the last candidate: at the floor nothing does."""
        return not self.built or bool((self.state.removed != self.built[-1].removed).any())

    # Candidates.

    def _branch(self, level: int, removal: RemovalPlan, steps: int) -> None:
        """Copy the trunk, cool the copy down, and keep it as a candidate."""
        # The twin has the trunk's weights and moments, and the trunk goes on as if there had been no branch: what a
        # candidate costs is its cooling alone (docs/decisions/0002).
        twin, spilled = self._twin(self.plan.schedule.branch_trains)

        def tell(step: int, loss: float) -> None:
            self.teller.tell(
                "fine_tuning",
                step=self.state.step,
                cooled=level,
                branch_step=step,
                metrics={"loss": loss},
            )

        anneal(twin, self.plan, self.state.rate, steps, tell)
        branch_bytes = twin.nbytes
        give_back(branch_bytes)
        self._keep(level, twin, removal, steps)
        del twin
        give_back(branch_bytes)
        self._reload(spilled)

    def _steps_of_cooling(self, event: Event, removal: RemovalPlan) -> int:
        """Return fewer steps for a candidate that is over the budget: it is measured, and not handed back."""
        plan = self.plan
        exceeds = plan.asked.exceeded_by(cost_of(plan.coupling, removal.removed))
        return plan.schedule.cooling_of(event, in_budget=not exceeds)

    def _twin(self, trains: Trains | None = None) -> tuple[Trainer, Path | None]:
        """Return a copy of the trunk; a large trunk waits in a file, the second value, until `_reload`."""
        if self.trainer.nbytes <= SPILLED_BYTES:
            return self.trainer.fork(trains), None
        spilled = self.plan.work_dir / "trunk.safetensors"
        return self.trainer.spill(spilled, trains), spilled

    def _reload(self, spilled: Path | None) -> None:
        if spilled is not None:
            self.trainer.reload(spilled)

    def _keep(self, level: int, twin: Trainer, removal: RemovalPlan, steps: int) -> None:
        plan, state, recipe = self.plan, self.state, self.plan.recipe
        # Those that remain have moved while the branch cooled; those that went keep what they were cut with.
        eigenvalues = Relevance(twin.model, recipe.prune.score, recipe.seed).eigenvalues()
        self.teller.tell("exporting", step=state.step, cooled=level + 1)
        path = self._path_of(level)
        # Out of the uploaded graph, not of the one that trained: nodes that no training touches come as they were.
        cut = Cut(plan.original, plan.coupling, removal.removed)
        external = export(twin.model, cut, plan.provenance, path)
        cost, opened = cost_of(plan.coupling, removal.removed), OpenedModel(path)
        # What neither training nor a solution by least squares has changed must have the original's bits.
        built = Built(
            index=level,
            opened=opened,
            external=external,
            cost=replace(cost, bytes=files_bytes((path, *external))),
            exactness=prove_exact(
                cut, opened, plan.samples, untrained(twin.model) - self.cutting.changes
            ),
            validation_metric=plan.measure(opened),
            removal=removal,
            removed_at=state.removed_at.copy(),
            relevance=state.relevance.copy(),
            eigenvalues=np.where(removal.removed, state.eigenvalues, eigenvalues),
            trained_parameters=_numbers_of(twin) if plan.schedule.trains else 0,
            cooling_steps=steps,
            links=self.policy.count_links(opened.graph, removal.removed),
        )
        built.save()
        self.built.append(built)
        measured = {"validation_metric": built.validation_metric}
        state.points[-1] = state.points[-1].model_copy(update=measured)
        self.teller.announce(built, step=state.step, cooled=len(self.built))

    def _path_of(self, level: int) -> Path:
        return self.plan.work_dir / f"candidate-{level}.onnx"

    # Beginnings and ends.

    def _first_rate(self) -> float:
        asked = self.plan.recipe.training.learning_rate
        if asked is not None:
            return asked
        # Tried on a twin and for a small share of the training: what it learns is thrown away.
        steps = steps_of_test(self.plan.schedule.longest_training)
        if steps == 0:
            return USUAL
        self._tell("finding the learning rate")
        twin, spilled = self._twin()
        rate = find_rate(twin, self.plan.feed, self.plan.recipe.seed, steps)
        del twin
        self._reload(spilled)
        return rate

    def _start_over(self, error: Diverged) -> None:
        self.built.clear()
        self._begin_again(
            self.state.rate * RATE_AFTER_DIVERGENCE,
            f"{error.detail}; training began again at a third of the rate",
        )

    def _begin_again(self, rate: float, warning: str, *, gentle: bool = False) -> None:
        warnings, reached = [*self.state.warnings, warning], self.state.step
        self.cutting.let_go()
        del self.trainer, self.relevance  # before there are others: each is as large as the model
        self.begin()
        self.state.warnings = warnings
        self.state.rate, self.state.retried, self.state.gentle = rate, True, gentle
        self._save()  # whoever goes on from here knows what was told, and does not go the old way again
        self._tell("", warning=warning, step=reached)

    def _stopped(self) -> list[Built]:
        """Let go of the trunk, which is written in its candidates."""
        trunk_bytes = self.trainer.nbytes
        self.trainer.teacher = None
        self.trainer.let_go()
        self.cutting.let_go()
        give_back(trunk_bytes)
        return self.built

    def _tell(self, message: str, warning: str | None = None, step: int = 0) -> None:
        self.teller.tell("training", message, step=step, cooled=len(self.built), warning=warning)

    def _save(self) -> None:
        self.checkpoint.save(self.state, self.trainer, self.relevance, self.policy, len(self.built))

    def _resume(self) -> None:
        loaded = self.checkpoint.load(self.trainer, self.relevance, self.policy)
        if loaded is not None:
            self.state, self.built = loaded.state, loaded.built


def _numbers_of(trainer: Trainer) -> int:
    return sum(item.tensor.numel() for item in trainer.trained.values())
