"""When more training makes the answers on validation rows worse, and what was best before that."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


class EarlyStopping:
    """Ends a training after `patience` measurements without a better one, and gives back the best state.

    A training that is not ended keeps its last state: with a rate that falls to zero that is the one to trust, and
    taking the best of many on the same rows would only flatter.
    """

    def __init__(self, patience: int, state: Callable[[], dict[str, Tensor]]) -> None:
        self.patience, self.state = patience, state
        self.best: tuple[float, dict[str, Tensor]] | None = None
        self.waited = 0

    def is_over(self, score: float) -> bool:
        """Take in a score, higher is better, and say whether there were too many without a better one."""
        if self.best is None or score > self.best[0]:
            self.best, self.waited = (score, self.state()), 0
            return False
        self.waited += 1
        return self.waited >= self.patience

    def best_state(self) -> dict[str, Tensor]:
        """Return what the trainer held at the best score."""
        assert self.best is not None
        return self.best[1]
