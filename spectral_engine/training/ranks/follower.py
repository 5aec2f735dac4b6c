"""`python -m spectral_engine.training.ranks.follower PARENT`: one rank but the first.

It reads orders from stdin and ends when there are no more. It keeps no state of a training: each step begins with the
tensors of rank 0, and ends with its share of the gradients there. So ranks cannot drift apart, whatever rank 0 does.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
import traceback
from typing import BinaryIO

import torch
from torch import Tensor

from spectral_engine.graph.module import OnnxModule
from spectral_engine.onnx_io.skeleton import with_placeholders
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.held_tensors import held_tensors, start_training
from spectral_engine.training.ranks.orders import Join, Layout, Order, Step
from spectral_engine.training.ranks.own_rows import OwnRows
from spectral_engine.training.ranks.parent_death import die_with
from spectral_engine.training.ranks.process_group import GroupBroken, ProcessGroup
from spectral_engine.training.ranks.processes import GROUP_BROKE, READY


def main() -> int:
    """Follow rank 0 to its end."""
    die_with(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is rank 0's to answer
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is no answer
    orders = os.fdopen(0, "rb", closefd=False)
    answers.write(READY)
    try:
        _follow(orders)
    except GroupBroken:
        return GROUP_BROKE
    except Exception as error:
        traceback.print_exc()
        answers.write(f"{type(error).__name__}: {error}".encode())
        return 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answers.write(str(peak).encode())
    return 0


def _follow(orders: BinaryIO) -> None:
    follower: Follower | None = None
    while (order := _next(orders)) is not None:
        if isinstance(order, Join):
            follower = Follower(order)
        elif follower is not None and isinstance(order, Layout):
            follower.lay_out(order)
        elif follower is not None and isinstance(order, Step):
            follower.step(order)


def _next(orders: BinaryIO) -> Order | None:
    try:
        order: Order = pickle.load(orders)
    except EOFError:
        return None
    return order


class Follower:
    """Computes what rank 0 asks for, of the model that it has told of last."""

    model: SpectralModel

    def __init__(self, join: Join) -> None:
        torch.set_num_threads(join.threads)
        self.rank, self.device = join.rank, torch.device(join.device)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=join.half)
        self.group = ProcessGroup(join.rendezvous, join.rank, join.ranks, self.device)

    def lay_out(self, layout: Layout) -> None:
        """Build the model, with room for the tensors that are to come."""
        graph = with_placeholders(layout.graph)
        module = OnnxModule(graph, layout.rows, layout.trainable).leave(layout.untaken)
        self.model = layout.form(module, layout.coupling, layout.options)
        start_training(self.model, self.device)
        for name, tensor in held_tensors(self.model).items():
            shape = layout.shapes[name]
            tensor.data = torch.empty(shape, dtype=tensor.dtype, device=self.device)

    def step(self, step: Step) -> None:
        """Go through the model and back with this rank's rows."""
        self.model.zero_grad(set_to_none=True)
        self.model.let_gradients_through(step.dense_gradient)
        self.group.broadcast(list(held_tensors(self.model).values()))
        inputs = {name: self._receive(step, *like) for name, like in step.inputs.items()}
        rows = OwnRows(self.group, self.model, step)
        with self.autocast:
            whole = rows.forward(inputs)
        rows.backward({name: torch.empty_like(value) for name, value in whole.items()})

    def _receive(self, step: Step, shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
        rows = step.bounds[self.rank + 1] - step.bounds[self.rank]
        received = torch.empty((rows, *shape[1:]), dtype=kind, device=self.device)
        self.group.receive(received)
        return received


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # there is nothing to tidy up, which would take seconds
