"""The last part of a candidate's training: its rate falls to zero, and nothing is cut any more."""

from __future__ import annotations

from collections.abc import Callable

from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.methods.schedule import half_cosine
from spectral_engine.training.averaging import Averages
from spectral_engine.training.early_stopping import EarlyStopping
from spectral_engine.training.statistics import BATCHES, FEW_BATCHES
from spectral_engine.training.trainer import Trainer

BRANCH_SEED = 7_919  # keeps a branch's row order apart from the trunk's
Tell = Callable[[int, float], None]  # steps done, loss


def anneal(twin: Trainer, plan: RunPlan, rate: float, steps: int, tell: Tell) -> None:
    """Train the twin from `rate` to 0, by half a cosine, and leave it with the weights that it ends with."""
    training, seed = plan.recipe.training, plan.recipe.seed + BRANCH_SEED
    averages = Averages(twin, training.average)
    stopping = EarlyStopping(training.patience, twin.state) if training.patience else None
    for step in range(steps):
        loss = twin.step(plan.feed.at_step(step, seed), rate * half_cosine(step, steps))
        averages.observe()
        tell(step + 1, loss)
        epoch_ends = (step + 1) % plan.feed.steps_per_epoch == 0
        if stopping and epoch_ends and stopping.is_over(plan.score(twin.answers(plan.validation))):
            twin.restore(stopping.best_state(), twin.steps)
            break
    else:
        averages.apply()
    finished = steps == plan.schedule.cooling_steps
    twin.settle(plan.feed, seed, BATCHES if finished else FEW_BATCHES)
    twin.stop()
