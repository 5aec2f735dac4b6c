"""The nodes that stay take over what removed ones told their readers, layer after layer in the order of the graph.

Each reader is solved anew: its inputs are what the cut model computes, with all layers before it solved already, and
its targets what the wide model's same layer answers. Errors of earlier layers are made good as far as a linear map can.
No labels are read. The problem of each layer is that of He, Zhang and Sun (arXiv:1707.06168), and OSSCAR (2403.12983).

Every transfer is asked, whatever the layer is called: one that computes Wᵀx + b, which is tried on the first rows, is
solved. Of others (recurrent ones, grouped convolutions, weights that several nodes read) the means are folded alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from spectral_engine.compensation.linear_map import MOST_INPUTS, LinearMap, readings
from spectral_engine.compensation.moments import Moments
from spectral_engine.compensation.ridge import STRENGTHS, solve
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.feed import Batch
from spectral_engine.training.statistics import NORM

ROWS = 8192  # of the training rows, at most
HELD_BACK = 0.25  # of the samples of each batch, on which the strength of the ridge is found

Batches = Callable[[], Iterable[Batch]]


@torch.no_grad()
def solve_readers(
    narrow: SpectralModel,
    wide: SpectralModel,
    batches: Batches,
    strengths: Sequence[float] = STRENGTHS,
    *,
    directly: bool = False,
) -> tuple[str, ...]:
    """Solve every reader of a narrow model whose inputs the cut has changed; return the weights that were.

    `wide` is the model that it was cut from, on the same graph with the same numbering of groups. `batches` gives the
    rows anew at each call: one pass for the layers that read the same value. `strengths` of the ridge are tried.
    `directly` leaves later layers as they are, which read nothing that is gone.
    """
    were_training = [model.module.training for model in (narrow, wide)]
    for model in (narrow, wide):
        model.module.eval()
    pairs = list(_after_the_cut(narrow, wide, directly=directly))
    solved: list[str] = []
    for _, group in groupby(pairs, key=lambda pair: pair[0].source):
        stage = _Stage(narrow, wide, list(group), strengths)
        solved += stage.solve(batches)
    for model, training in zip((narrow, wide), were_training, strict=True):
        model.module.train(training)
    return tuple(solved)


def _after_the_cut(
    narrow: SpectralModel, wide: SpectralModel, *, directly: bool
) -> Iterator[tuple[Transfer, Transfer]]:
    """Yield each transfer of both models from the first one on that reads a node which is gone."""
    gone = wide.coupling.alive() & ~narrow.coupling.alive()
    begun = False
    pairs = zip(narrow.coupling.transfers, wide.coupling.transfers, strict=True)
    for transfer, before in pairs:
        axis = before.in_axis
        ids = None if axis is None else wide.coupling.axes[before.weight][axis]
        reads = ids is not None and bool(gone[ids].any())
        begun = begun or reads
        if reads or (begun and not directly):
            yield transfer, before


@dataclass
class _Reader:
    """One transfer to be solved: its map in both models, and what is summed of it."""

    narrow: LinearMap
    wide: LinearMap
    stays: Tensor  # of the wide transfer's outputs [out]
    wanted: int
    fixed: Tensor | None  # a bias that must stay as it is [out]
    fitted: Moments
    held_back: Moments
    usable: bool | None = None  # until the first rows tell

    @property
    def has_enough(self) -> bool:
        """Whether no more samples are needed."""
        return self.usable is False or self.fitted.samples + self.held_back.samples >= self.wanted


@dataclass
class _Stage:
    """The transfers that read one value."""

    narrow: SpectralModel
    wide: SpectralModel
    pairs: list[tuple[Transfer, Transfer]]
    strengths: Sequence[float]
    readers: list[_Reader] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.readings = readings(self.narrow)
        self.readers = [
            reader for pair in self.pairs if (reader := self._reader(*pair)) is not None
        ]

    def solve(self, batches: Batches) -> list[str]:
        """Sum up moments, solve, and return the weights that changed."""
        if self.readers:
            self._observe(batches())
        return [name for reader in self.readers if (name := self._take_over(reader)) is not None]

    def _reader(self, transfer: Transfer, before: Transfer) -> _Reader | None:
        narrow, wide = self.narrow, self.wide
        ours, theirs = LinearMap.of(narrow, transfer), LinearMap.of(wide, before)
        trains = transfer.weight in narrow.module.trainable
        if ours is None or theirs is None or not trains or self.readings[transfer.weight] != 1:
            return None
        inputs = ours.inputs(narrow)
        ids = wide.coupling.axes[before.weight][before.out_axis]
        if inputs > MOST_INPUTS or ids is None:
            return None
        device = narrow.module.initializer(transfer.weight).device
        stays = torch.from_numpy(np.flatnonzero(narrow.coupling.alive()[ids])).to(device)
        bias = ours.bias(narrow)
        return _Reader(
            narrow=ours,
            wide=theirs,
            stays=stays,
            wanted=ours.wanted(narrow),
            fixed=None if self._bias_is_free(transfer) else bias,
            fitted=Moments.empty(inputs, len(stays), device),
            held_back=Moments.empty(inputs, len(stays), device),
        )

    def _bias_is_free(self, transfer: Transfer) -> bool:
        name = transfer.bias
        return (
            name is not None and self.readings[name] == 1 and name in self.narrow.module.trainable
        )

    def _observe(self, batches: Iterable[Batch]) -> None:
        source = self.pairs[0][0].source
        for number, batch in enumerate(batches):
            readers = [reader for reader in self.readers if not reader.has_enough]
            if not readers:
                return
            outputs = {reader.wide.transfer.output for reader in readers}
            first = {source} if number == 0 else set()
            wide = self.wide(batch.inputs, watch=outputs | first)
            now = self.narrow(batch.inputs, watch={source})[source]
            for reader in readers:
                output = wide[reader.wide.transfer.output]
                places = None
                if reader.narrow.patches is not None:
                    places = reader.narrow.positions(output, reader.wanted, number)
                space = tuple(output.shape[2:])
                y = reader.wide.y(output, places)
                if number == 0:
                    x = reader.wide.x(wide[source], space, places)
                    reader.usable = reader.wide.computes(self.wide, x, y)
                if reader.usable:
                    _add(reader, reader.narrow.x(now, space, places), y[:, reader.stays])

    def _take_over(self, reader: _Reader) -> str | None:
        """Put the solution into weight, bias and statistics; None where there is none."""
        moments = reader.fitted + reader.held_back
        if not reader.usable or not reader.fitted.samples or not reader.held_back.samples:
            return None
        transfer, module = reader.narrow.transfer, self.narrow.module
        free = self._bias_is_free(transfer)
        old = reader.narrow.matrix(self.narrow).double()
        has_offset = free or transfer.norm_mean is not None
        solved = solve(
            reader.fitted,
            reader.held_back,
            old,
            has_offset=has_offset,
            strengths=self.strengths,
        )
        changed = np.isfinite(solved.strength)
        if changed:
            reader.narrow.set_matrix(self.narrow, solved.weight)
        if free:
            bias = module.initializer(transfer.bias or "")
            bias.copy_(solved.offset.to(bias.dtype).view_as(bias))
        if transfer.norm_mean is not None:
            offset = solved.offset if free else torch.zeros_like(solved.offset)
            if reader.fixed is not None:
                offset = reader.fixed.double()
            self._settle(transfer.norm_mean, *moments.outputs(solved.weight, offset))
        return transfer.weight if changed else None

    def _settle(self, norm_mean: str, mean: Tensor, variance: Tensor) -> None:
        """Let the statistics of the normalisation after a layer be those of what the layer answers now [out]."""
        module = self.narrow.module
        for node in module.every_node:
            if node.op_type == NORM and node.inputs[3] == norm_mean and node.inputs[4]:
                for name, value in ((norm_mean, mean), (node.inputs[4], variance)):
                    statistic = module.initializer(name)
                    statistic.copy_(value.to(statistic.dtype))


def _add(reader: _Reader, x: Tensor, y: Tensor) -> None:
    if reader.fixed is not None:
        y = y - reader.fixed
    first = len(x) - round(HELD_BACK * len(x))
    reader.fitted.add(x[:first], y[:first])
    reader.held_back.add(x[first:], y[first:])
