"""Steps in segments whose inner values are not kept for the backward pass, but computed again in it.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174: with √n segments of n steps, what is
kept grows with √n, for one more forward pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from spectral_engine.graph.codegen import Runner, Writer
from spectral_engine.graph.operator_spec import Mode
from spectral_engine.graph.placement import Placement
from spectral_engine.graph.step import Step


@dataclass(frozen=True)
class Segment:
    """Steps that follow each other: what they read, and what nobody reads any more after them."""

    runner: Runner
    reads: tuple[str, ...]
    done: tuple[str, ...]


def write_segments(
    steps: Sequence[Step],
    slots: Mapping[str, int],
    wanted: Collection[str],
    placement: Placement | None,
    mode: Mode,
) -> Runner:
    """Return the function that `write_runner` gives, with the same answers and the same gradients."""
    writer, names = Writer(steps, slots, placement), {slot: name for name, slot in slots.items()}
    segments = list(_segments(writer, names, wanted))

    def runner(values: Mapping[str, Any]) -> dict[str, Any]:
        known = dict(values)
        for segment in segments:
            given = {name: known[name] for name in segment.reads}
            known.update(_run(segment.runner, given, mode))
            for name in segment.done:
                del known[name]
        return {name: known[name] for name in wanted}

    return runner


def _run(runner: Runner, given: Mapping[str, Any], mode: Mode) -> dict[str, Any]:
    if not torch.is_grad_enabled():
        return runner(given)
    computed: dict[str, Any] = checkpoint(
        runner,
        given,
        use_reentrant=False,
        preserve_rng_state=False,  # no operator answers at random
        context_fn=lambda: _contexts(mode),
    )
    return computed


def _contexts(mode: Mode) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _recomputing(mode)


@contextmanager
def _recomputing(mode: Mode) -> Iterator[None]:
    mode.recomputing = True
    try:
        yield
    finally:
        mode.recomputing = False


def _segments(
    writer: Writer, names: Mapping[int, str], wanted: Collection[str]
) -> Iterator[Segment]:
    steps, kept = writer.steps, {writer.slots[name] for name in wanted}
    produced = {slot for step in steps for slot in step.writes}
    last = {slot: at for at, step in enumerate(steps) for slot in step.reads if slot >= 0}
    for start, end in pairwise([0, *boundaries(steps, last), len(steps)]):
        inside = {slot for step in steps[start:end] for slot in step.writes}
        read = {slot for step in steps[start:end] for slot in step.reads if slot >= 0} - inside
        later = {slot for slot in inside if slot in kept or last.get(slot, -1) >= end}
        done = {slot for slot in read & produced if last[slot] < end and slot not in kept}
        yield Segment(
            writer.runner(start, end, [names[slot] for slot in sorted(later)]),
            tuple(names[slot] for slot in sorted(read)),
            tuple(names[slot] for slot in sorted(done)),
        )


def boundaries(steps: Sequence[Step], last: Mapping[int, int]) -> list[int]:
    """Return where segments begin, besides the first: about √n of them, each where few values are alive."""
    size = max(1, isqrt(len(steps)))
    alive = _alive(steps, last)
    starts: list[int] = []
    for nominal in range(size, len(steps) - size // 2, size):
        near = range(max(1, nominal - size // 3), min(len(steps), nominal + size // 3 + 1))
        starts.append(min(near, key=lambda at: (alive[at], abs(at - nominal))))
    return sorted(set(starts))


def _alive(steps: Sequence[Step], last: Mapping[int, int]) -> list[int]:
    """Return how many computed values later steps read, before each step."""
    change = [0] * (len(steps) + 1)
    for at, step in enumerate(steps):
        for slot in step.writes:
            if last.get(slot, -1) > at:
                change[at + 1] += 1
                change[last[slot] + 1] -= 1
    counts, now = [], 0
    for value in change:
        now += value
        counts.append(now)
    return counts
