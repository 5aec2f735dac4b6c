"""In which order the nodes of a layer go, when the readers make good what each one told.

Of readers y = Wᵀx with inputs of covariance G, leaving out node c and solving for the others costs ‖W_c‖² / (G⁻¹)_cc
(Hassibi and Stork, Optimal Brain Surgeon, 1993, for a layer as in Frantar and Alistarh, arXiv:2208.11580). Backward
elimination takes the cheapest, carries G⁻¹ and W over to what is left, and goes on. Of a convolution, x are its
channels at one position, and ‖W_c‖ goes over all taps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RIDGE = 1e-4  # of the mean variance of an input: what two equal nodes are told apart by
MOST_STEPS = 512  # a wider layer loses several nodes at a time


@dataclass
class ReaderOfLayer:
    """One reader's inputs of a layer: `places` [in] are positions in the layer's list of groups, −1 for other nodes.

    `covariance` [in, in] of its inputs, `weight` [in, out · taps], `scale` the total variance of what it answers.
    """

    places: NDArray[np.int64]
    covariance: Floats
    weight: Floats
    scale: float

    def __post_init__(self) -> None:
        diagonal = np.diag(self.covariance)
        ridge = RIDGE * max(float(diagonal.mean()), 1e-12)
        self.inverse = np.linalg.inv(self.covariance + ridge * np.eye(len(diagonal)))
        self.weight = self.weight.copy()

    def costs(self, count: int) -> Floats:
        """Return what leaving each group out costs of the reader's answers [count]."""
        of_input = np.square(self.weight).sum(axis=1) / np.diag(self.inverse).clip(1e-30)
        costs = np.zeros(count)
        inside = self.places >= 0
        np.add.at(costs, self.places[inside], of_input[inside] / max(self.scale, 1e-30))
        return costs

    def leave_out(self, at: int) -> None:
        """Let the other inputs take over what a group told, and have it tell nothing any more."""
        for index in np.flatnonzero(self.places == at):
            column = self.inverse[:, index].copy()
            pivot = max(float(column[index]), 1e-30)
            self.weight -= np.outer(column / pivot, self.weight[index])
            self.inverse -= np.outer(column / pivot, column)
            self.weight[index] = 0
            self.inverse[index, :] = self.inverse[:, index] = 0
            self.inverse[index, index] = 1.0


def order_of(count: int, readers: list[ReaderOfLayer]) -> NDArray[np.int64]:
    """Return the places of a layer's groups in the order in which they go [count], the cheapest first."""
    left = np.ones(count, dtype=bool)
    order: list[int] = []
    at_a_time = max(1, -(-count // MOST_STEPS))
    while left.any():
        costs = np.sum([reader.costs(count) for reader in readers], axis=0)
        costs[~left] = np.inf
        going = np.argsort(costs, kind="stable")[: min(at_a_time, int(left.sum()))]
        for at in going.tolist():
            for reader in readers:
                reader.leave_out(at)
            left[at] = False
            order.append(at)
    return np.array(order, dtype=np.int64)
