"""What a fusion is: a pattern of steps that ends at one operator, and the one function that replaces it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from spectral_engine.graph.step import Function, Step


@dataclass(frozen=True)
class Group:
    """One function for several steps, and which they are; it stands where the last one stood."""

    function: Function
    reads: tuple[int, ...]
    absorbed: tuple[int, ...]


class Steps:
    """The steps by what they produce; `private` ones give a value that one other step reads, once."""

    def __init__(
        self, steps: Sequence[Step], kept: Collection[int], scalars: Mapping[int, float]
    ) -> None:
        self.steps = steps
        self.scalars = scalars
        self._kept = set(kept)
        self._producer = {slot: at for at, step in enumerate(steps) for slot in step.writes}
        self._reads = Counter(slot for step in steps for slot in step.reads)

    def private(self, slot: int, *op_types: str) -> int | None:
        """Return the step that produces this value for one reader alone, if its operator is one of these."""
        at = self._producer.get(slot)
        if at is None or self._reads[slot] != 1 or slot in self._kept:
            return None
        step = self.steps[at]
        fits = step.node.op_type in op_types and not step.node.domain and len(step.writes) == 1
        return at if fits and len(step.reads) == step.arity else None

    def made_by(self, slot: int, op_type: str) -> bool:
        """Tell whether this operator produces a value."""
        at = self._producer.get(slot)
        return at is not None and self.steps[at].node.op_type == op_type

    def operands(self, at: int, *op_types: str) -> list[tuple[int, int]]:
        """Return (producing step, other operand) for operands of a binary step that are private."""
        reads = self.steps[at].reads
        pairs = []
        for mine, other in ((0, 1), (1, 0)):
            producer = self.private(reads[mine], *op_types)
            if producer is not None:
                pairs.append((producer, reads[other]))
        return pairs

    def is_scalar(self, slot: int, value: float) -> bool:
        """Tell whether a value is this constant, as far as half precision could write it."""
        return slot in self.scalars and math.isclose(self.scalars[slot], value, rel_tol=3e-4)


# Takes the steps and the position of one with the spec's operator; gives the group that ends there, if one does.
Matcher = Callable[[Steps, int], Group | None]


@dataclass(frozen=True)
class Fusion:
    """A pattern that ends at the operator whose spec holds it.

    All steps are searched for the pattern of the lowest `turn` before the next one has its turn: a step goes into
    the first group that takes it.
    """

    match: Matcher
    turn: int
