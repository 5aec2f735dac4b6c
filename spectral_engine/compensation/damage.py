"""What removing nodes does to the answers, measured on calibration rows: how much of which layer can go.

1. Each layer's nodes are put in the order in which its readers can best do without them (`elimination.py`).
2. Some shares of each layer are cut out by itself, its readers are solved, and the distance of the answers is measured.
3. A group's score is what it adds to that distance, by what it saves: taking the lowest first is the greedy allocation
   over layers, which is the best one where each layer's damage grows faster than what is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.compensation.elimination import ReaderOfLayer, order_of
from spectral_engine.compensation.least_squares import Batches, solve_readers
from spectral_engine.compensation.linear_map import LinearMap
from spectral_engine.compensation.moments import Moments
from spectral_engine.compensation.samples import dense_samples
from spectral_engine.graph.coupling import Mark
from spectral_engine.graph.surgery import cut
from spectral_engine.spectral.model import SpectralModel

SHARES = (0.25, 0.5, 0.75, 0.9)  # of a layer's nodes, that are cut out to be measured
MOST_SAMPLES = 4096  # of one value in a batch
STEEPER = (
    3.0  # times as steep as the last part measured is damage where a whole layer would be gone
)
TIES = 1e-9  # what keeps a layer's order where its damage is a straight line
Saved = Callable[[Mark], float]  # what the model costs less without these groups
Floats = NDArray[np.float64]


class Probe:
    """Cuts parts out of `model`, whose weights lie in its graph, and compares what it answers to `batches`.

    `answers` are the values that are compared.
    """

    def __init__(self, model: SpectralModel, answers: Sequence[str], batches: Batches) -> None:
        self.model, self.answers, self.batches = model, tuple(answers), batches
        model.module.eval()
        self.maps = [
            mapped
            for transfer in model.coupling.transfers
            if (mapped := LinearMap.of(model, transfer)) is not None
        ]
        self.covariances, self.said = self._observe()

    def scores(self, saved: Saved) -> Floats:
        """Return the score of every group [count]; 0 for those that must stay."""
        scores = np.zeros(self.model.coupling.count)
        for groups in self._layers():
            order = groups[order_of(len(groups), self._readers(groups))]
            scores[order] = self._marginal(order, saved)
        return scores

    @torch.no_grad()
    def damage(self, removed: Mark) -> float:
        """Return the squared distance of the answers without these groups, by the variance of the whole model's."""
        narrow = self._without(removed)
        solve_readers(narrow, self.model, self.batches, directly=True)
        narrow.module.eval()
        apart = total = 0.0
        for batch, said in zip(self.batches(), self.said, strict=True):
            now = narrow(batch.inputs, watch=self.answers)
            for name in self.answers:
                apart += float((now[name] - said[name]).double().square().sum())
                total += float((said[name] - said[name].mean(dim=0)).double().square().sum())
        return apart / max(total, 1e-30)

    def _layers(self) -> Iterator[NDArray[np.int64]]:
        """Yield the groups of each layer that can go; what two layers share goes with the first."""
        seen = self.model.coupling.pinned.copy()
        for layer in self.model.coupling.layers:
            groups = np.unique(layer.groups)
            groups = groups[~seen[groups]]
            seen[groups] = True
            if len(groups):
                yield groups

    def _marginal(self, order: NDArray[np.int64], saved: Saved) -> Floats:
        """Return what each group adds to the damage, by what it saves, in the order in which they go."""
        counts = sorted({round(share * len(order)) for share in SHARES} - {0})
        damages, savings = [0.0], [0.0]
        for count in counts:
            removed = np.zeros(self.model.coupling.count, dtype=bool)
            removed[order[:count]] = True
            damages.append(max(damages[-1], self.damage(removed)))
            savings.append(saved(removed))
        slopes = [
            (after - before) / max(more - less, 1e-30)
            for (before, after), (less, more) in zip(
                pairwise(damages), pairwise(savings), strict=True
            )
        ]
        ends = [0, *counts]
        middles = [(first + last) / 2 for first, last in pairwise(ends)]
        # Where damage grows slower for a while it is taken as a straight line: a layer's order must hold.
        rising = np.maximum.accumulate(slopes or [0.0])
        places = np.arange(len(order))
        marginal = np.interp(
            places, [*(middles or [0.0]), len(order)], [*rising, STEEPER * rising[-1]]
        )
        least = max(float(rising[-1]), 1e-30) * TIES
        ordered: Floats = marginal + least * places
        return ordered

    def _readers(self, groups: NDArray[np.int64]) -> list[ReaderOfLayer]:
        place_of = np.full(self.model.coupling.count, -1, dtype=np.int64)
        place_of[groups] = np.arange(len(groups))
        return [
            self._reader(mapped, places)
            for mapped in self.maps
            if ((places := place_of[self._inputs_of(mapped)]) >= 0).any()
        ]

    def _inputs_of(self, mapped: LinearMap) -> NDArray[np.int64]:
        axis = mapped.transfer.in_axis
        ids = None if axis is None else self.model.coupling.axes[mapped.transfer.weight][axis]
        assert ids is not None  # or there were no map
        return ids

    def _reader(self, mapped: LinearMap, places: NDArray[np.int64]) -> ReaderOfLayer:
        covariance = self.covariances[mapped.transfer.source, mapped.in_axis]
        matrix = mapped.matrix(self.model).double().cpu().numpy()  # [in · taps, out]
        weight = matrix.reshape(len(places), -1)
        scale = float((weight * (covariance @ weight)).sum())
        return ReaderOfLayer(places, covariance, weight, scale)

    def _without(self, removed: Mark) -> SpectralModel:
        whole = self.model
        graph = cut(whole.module.model, whole.coupling, removed)
        module = whole.module.over(graph).to(next(whole.parameters()).device)
        return type(whole)(module, whole.coupling.without(removed), whole.options)

    @torch.no_grad()
    def _observe(self) -> tuple[dict[tuple[str, int], Floats], list[dict[str, Tensor]]]:
        """Return the covariance of each value that is read, by its axis of nodes, and the answers to each batch."""
        read = {(mapped.transfer.source, mapped.in_axis) for mapped in self.maps}
        sums: dict[tuple[str, int], Moments] = {}
        said = []
        for batch in self.batches():
            values = self.model(batch.inputs, watch={*self.answers, *(name for name, _ in read)})
            said.append({name: values[name] for name in self.answers})
            for name, axis in read:
                x = dense_samples(values[name], axis)
                x = x[:: max(1, len(x) // MOST_SAMPLES)]
                if (name, axis) not in sums:
                    sums[name, axis] = Moments.empty(x.shape[1], 0, x.device)
                sums[name, axis].add(x, x[:, :0])
        covariances = {
            key: (sum_.centred()[0] / max(1, sum_.samples)).cpu().numpy()
            for key, sum_ in sums.items()
        }
        return covariances, said
