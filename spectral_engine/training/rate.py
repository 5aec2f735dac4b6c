"""The learning rate, found before the training by a range test on a copy that is thrown away.

Rates rise from step to step until the loss has clearly risen (Smith, WACV 2017). What counts is the loss itself, in
nats or in shares of the targets' variance, and not its ratio to where it was: a trained model starts near 0.
"""

from __future__ import annotations

from spectral_engine.errors import Diverged
from spectral_engine.training.feed import Feed
from spectral_engine.training.trainer import Trainer

LOWEST, HIGHEST = 1e-4, 1.0  # of the test
STEPS, FEWEST_STEPS = 80, 10
SHARE_OF_TRAINING = 0.25  # the test takes no more steps than this share of the training's
RISE = 0.5
WINDOW = 0.06  # of the test: over how much of it the loss is averaged
BACK_OFF = 0.5
USUAL, SMALLEST, LARGEST = 3e-3, 1e-4, 3e-2
SEED = 104_729  # keeps the test's row order apart from the training's


def steps_of_test(training_steps: int) -> int:
    """Return how many steps the test takes, 0 where the training is too short for one."""
    steps = min(STEPS, int(training_steps * SHARE_OF_TRAINING))
    return steps if steps >= FEWEST_STEPS else 0


def find_rate(twin: Trainer, feed: Feed, seed: int, steps: int) -> float:
    """Return half of the rate at which the loss has risen by 0.5; `twin` is of no use after."""
    memory = max(0.0, 1 - 1 / (WINDOW * steps))
    running, first = 0.0, None
    rate = HIGHEST
    for step in range(steps):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1))
        if BACK_OFF * rate >= LARGEST:  # whatever the loss does from here, the answer is the same
            break
        try:
            loss = twin.step(feed.at_step(step, seed + SEED), rate)
        except Diverged:
            break
        running = memory * running + (1 - memory) * loss
        mean = running / (1 - memory ** (step + 1))
        first = mean if first is None else first
        if mean > first + RISE:
            break
    return min(LARGEST, max(SMALLEST, BACK_OFF * rate))
