"""Data parallel steps, as rank 0 leads them.

Rank 0 has the only optimiser, and all that decides. In each step the others take its tensors and their rows of the
batch, and give back gradients: broadcast and sum carry what an all-reduce between replicas would, and nothing that
rank 0 does between steps (cuts, forks, folded means, masks) has to be done by the others as well.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from spectral_engine.onnx_io.skeleton import without_weights
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.held_tensors import held_tensors
from spectral_engine.training.ranks.orders import Join, Layout, Step
from spectral_engine.training.ranks.own_rows import OwnRows
from spectral_engine.training.ranks.process_group import GroupBroken, ProcessGroup
from spectral_engine.training.ranks.processes import RankProcesses
from spectral_engine.training.ranks.splitting import refuse_bodies, split_rows

Tensors = dict[str, Tensor]


class DataParallel:
    """Computes the passes of a step on several devices, while its context lasts. Raises RankLost."""

    processes: RankProcesses

    def __init__(self, devices: Sequence[torch.device], folder: Path, half: bool) -> None:
        self.devices, self.folder, self.half = devices, folder, half
        self.ranks = len(devices)
        self._threads_before = torch.get_num_threads()
        self._threads = self._threads_before
        if devices[0].type == "cpu":
            self._threads = max(1, self._threads_before // self.ranks)
        self._group: ProcessGroup | None = None
        self._laid_out: weakref.ref[SpectralModel] | None = None
        self._rows: OwnRows | None = None
        self._values: Tensors = {}

    def forward(
        self, model: SpectralModel, inputs: Mapping[str, Tensor], watch: tuple[str, ...]
    ) -> Tensors:
        """Return the watched values of all rows [n, …], without what led to them."""
        with self._losses():
            group = self._group = self._group or self._connect()
            self._lay_out(model)
            step = self._step(model, inputs, watch)
            self.processes.tell_all(step)
            group.broadcast(list(held_tensors(model).values()))
            for rank in range(1, self.ranks):
                for value in inputs.values():
                    group.send(value[step.bounds[rank] : step.bounds[rank + 1]], rank)
            self._rows = OwnRows(group, model, step)
            self._values = self._rows.forward(_first(inputs, step.bounds[1]))
        return self._values

    def backward(self, loss: Tensor) -> None:
        """Go back from the loss to the values here, and from there on every device."""
        assert self._rows is not None
        if loss.requires_grad:  # not where an operator without a gradient stands before all outputs
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        gradients = {name: _gradient(value) for name, value in self._values.items()}
        with self._losses():
            self._rows.backward(gradients)
        self._rows, self._values = None, {}

    def here(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return this rank's rows where it has memory of its own; the cores of a CPU share theirs."""
        if self.devices[0].type == "cpu":
            return inputs
        return _first(inputs, -(-len(next(iter(inputs.values()))) // self.ranks))

    def _step(
        self, model: SpectralModel, inputs: Mapping[str, Tensor], watch: tuple[str, ...]
    ) -> Step:
        at_once = model.module.rows.for_values(watch).at_once
        return Step(
            inputs={name: (tuple(value.shape), value.dtype) for name, value in inputs.items()},
            bounds=split_rows(len(next(iter(inputs.values()))), self.ranks, at_once),
            watch=watch,
            sums_statistics=at_once is None,  # else each run has its own
            keeps_activations=model.module.mode.keeps_activations,
            dense_gradient=model.dense_gradient,
        )

    def _lay_out(self, model: SpectralModel) -> None:
        """Tell of a model that the others do not know yet."""
        if self._laid_out is not None and self._laid_out() is model:
            return
        refuse_bodies(model)
        module = model.module
        # A single number may be a constant, which is read while the plan of a module is made.
        weights = {name for name in module.names if module.initializer(name).numel() > 1}
        layout = Layout(
            graph=without_weights(module.model, weights),
            rows=module.rows,
            trainable=module.trainable,
            untaken=module.untaken,
            form=type(model),
            coupling=model.coupling,
            options=model.options,
            shapes={name: tuple(tensor.shape) for name, tensor in held_tensors(model).items()},
        )
        self.processes.tell_all(layout)
        self._laid_out = weakref.ref(model)

    def _connect(self) -> ProcessGroup:
        self.processes.await_ready()
        rendezvous = self.folder / "rendezvous"
        for rank, device in enumerate(self.devices[1:], 1):
            self.processes.tell(
                rank,
                Join(rank, self.ranks, rendezvous, str(device), self._threads, self.half),
            )
        return ProcessGroup(rendezvous, 0, self.ranks, self.devices[0])

    @contextmanager
    def _losses(self) -> Iterator[None]:
        try:
            yield
        except GroupBroken as error:
            raise self.processes.lost() from error

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)  # of a job that was killed
        self.folder.mkdir(mode=0o700, parents=True)
        self.processes = RankProcesses(self.ranks - 1, self._threads)
        torch.set_num_threads(self._threads)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._group = None
        self.processes.__exit__(kind, error, at)
        shutil.rmtree(self.folder, ignore_errors=True)
        torch.set_num_threads(self._threads_before)


def _first(inputs: Mapping[str, Tensor], rows: int) -> Tensors:
    return {name: value[:rows] for name, value in inputs.items()}


def _gradient(value: Tensor) -> Tensor:
    return torch.zeros_like(value) if value.grad is None else value.grad
