"""What exporters take apart, put together again when a plan is compiled: dense layers, GELU, SiLU, attention.

A group of steps becomes one only where nobody else reads, or asks for, the values within it. The patterns stand in the
specs of the operators that they end at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from spectral_engine.graph.fusion import Fusion, Steps
from spectral_engine.graph.operator_spec import find_spec
from spectral_engine.graph.step import Step

Stretch = tuple[int, int, int]  # axis, start, end


def fuse(steps: Sequence[Step], kept: Collection[int], scalars: Mapping[int, float]) -> list[Step]:
    """Return fewer steps that compute the same values in `kept`."""
    fused = list(steps)
    for fusion in _fusions(steps):
        fused = _fuse_once(fusion, fused, kept, scalars)
    return _split_once(fused)


def _fusions(steps: Sequence[Step]) -> list[Fusion]:
    """Return the patterns that may end at these steps, in turn."""
    ending = dict.fromkeys(find_spec(step.node).fusion for step in steps)
    return sorted((fusion for fusion in ending if fusion is not None), key=lambda f: f.turn)


def _fuse_once(
    fusion: Fusion, steps: list[Step], kept: Collection[int], scalars: Mapping[int, float]
) -> list[Step]:
    """Put together every group of one pattern; the last steps come first, so that the largest group takes all."""
    book = Steps(steps, kept, scalars)
    gone: set[int] = set()
    merged: dict[int, Step] = {}
    for at in reversed(range(len(steps))):
        step = steps[at]
        if at in gone or find_spec(step.node).fusion is not fusion:
            continue
        if len(step.reads) != step.arity or len(step.writes) != 1:
            continue  # not sound; it fails by name when it runs
        group = fusion.match(book, at)
        if group is not None and gone.isdisjoint(group.absorbed):
            gone.update(group.absorbed)
            merged[at] = replace(step, function=group.function, reads=group.reads)
    return [merged.get(at, step) for at, step in enumerate(steps) if at not in gone]


def _split_once(steps: list[Step]) -> list[Step]:
    """Cut a value once where stretches take it apart: the gradient then comes together in one piece too."""
    taken: dict[
        int, dict[int, Stretch]
    ] = {}  # by the slot that is read: what each step takes of it
    for at, step in enumerate(steps):
        stretch = find_spec(step.node).stretch(step.node)
        if stretch is not None:
            taken.setdefault(step.reads[0], {})[at] = stretch
    gone: set[int] = set()
    merged: dict[int, Step] = {}
    for slot, stretches in taken.items():
        order = sorted(stretches, key=lambda at: stretches[at][1])
        bounds = [stretches[at] for at in order]
        if not _take_apart(bounds):
            continue
        first = min(order)
        writes = tuple(steps[at].writes[0] for at in order)
        merged[first] = replace(
            steps[first], function=_cut_at(bounds), reads=(slot,), writes=writes
        )
        gone.update(at for at in order if at != first)
    return [merged.get(at, step) for at, step in enumerate(steps) if at not in gone]


def _take_apart(bounds: list[Stretch]) -> bool:
    """Tell whether stretches, by their starts, lie along one axis one after another from its beginning."""
    touching = all(a[2] == b[1] for a, b in itertools.pairwise(bounds))
    return len(bounds) > 1 and bounds[0][1] == 0 and touching and len({b[0] for b in bounds}) == 1


def _cut_at(bounds: list[tuple[int, int, int]]) -> Callable[[Tensor], Any]:
    axis, last = bounds[0][0], bounds[-1]
    sizes = [end - start for _, start, end in bounds[:-1]]

    def function(x: Tensor) -> Any:
        size = x.shape[axis]
        if last[1] < size <= last[2]:
            return torch.split(x, [*sizes, size - last[1]], dim=axis)
        ends = ((min(start, size), min(end, size)) for _, start, end in bounds)
        return tuple(x.narrow(axis, start, end - start) for start, end in ends)

    return function
