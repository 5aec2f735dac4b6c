"""What the ranks send each other: tensors, over the loopback on CPUs and by NCCL on GPUs.

The group is an object of its own and not torch's default one: the caller's process may have that for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch import Tensor

c10d: Any = torch.distributed  # its stubs leave out much of what it has
PARCEL_BYTES = 2**24
CONNECT_SECONDS = 30.0
STEP_SECONDS = 600.0  # no rank waits longer for another within a step


class GroupBroken(Exception):
    """A rank is gone, or did not come."""


class ProcessGroup:
    """The ranks of one job on their devices; each call is made by all, in the same order. Raises GroupBroken."""

    def __init__(self, rendezvous: Path, rank: int, ranks: int, device: torch.device) -> None:
        self.rank, self.ranks = rank, ranks
        store = c10d.FileStore(str(rendezvous), ranks)
        store.set_timeout(timedelta(seconds=CONNECT_SECONDS))
        connect = _nccl if device.type == "cuda" else _gloo
        with _breaking():
            self._group = connect(store, rank, ranks)

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Give every rank the numbers of rank 0."""
        options = c10d.BroadcastOptions()
        options.rootRank = options.rootTensor = 0
        self._in_parcels(tensors, lambda parcel: self._group.broadcast([parcel], options))

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all ranks in the place of each tensor."""
        self._in_parcels(tensors, lambda parcel: self._group.allreduce([parcel]))

    def send(self, tensor: Tensor, rank: int) -> None:
        """Send one rank a tensor of any type, which it waits for with `receive`."""
        with _breaking():
            self._group.send([_as_bytes(tensor.contiguous())], rank, 0).wait()

    def receive(self, tensor: Tensor) -> None:
        """Fill a contiguous tensor with what rank 0 sends."""
        with _breaking():
            self._group.recv([_as_bytes(tensor)], 0, 0).wait()

    @torch.no_grad()
    def _in_parcels(self, tensors: Sequence[Tensor], work: Callable[[Tensor], Any]) -> None:
        for parcel in parcels(tensors):
            whole = torch.cat([tensor.detach().reshape(-1) for tensor in parcel])
            with _breaking():
                work(whole).wait()
            parts = torch.split(whole, [tensor.numel() for tensor in parcel])
            for tensor, part in zip(parcel, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))


@contextmanager
def _breaking() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # of which torch makes the kinds that tell of a group
        raise GroupBroken(str(error)) from error


def parcels(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield neighbours of one type together, up to a size: many small tensors take as long as one."""
    parcel: list[Tensor] = []
    for tensor in tensors:
        full = sum(item.nbytes for item in parcel) + tensor.nbytes > PARCEL_BYTES
        if parcel and (full or tensor.dtype != parcel[0].dtype):
            yield parcel
            parcel = []
        parcel.append(tensor)
    if parcel:
        yield parcel


def _as_bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().reshape(-1).view(torch.uint8)


def _gloo(store: Any, rank: int, ranks: int) -> Any:
    """Connect over the loopback alone: by itself gloo listens where the host's name leads."""
    options = c10d.ProcessGroupGloo._Options()
    options._devices = [c10d.ProcessGroupGloo.create_device(hostname="127.0.0.1")]
    options._timeout = timedelta(seconds=CONNECT_SECONDS)
    options._threads = 1
    group = c10d.ProcessGroupGloo(store, rank, ranks, options)
    group._set_default_timeout(timedelta(seconds=STEP_SECONDS))
    return group


def _nccl(store: Any, rank: int, ranks: int) -> Any:
    options = c10d.ProcessGroupNCCL.Options()
    options._timeout = timedelta(seconds=STEP_SECONDS)
    return c10d.ProcessGroupNCCL(store, rank, ranks, options)
