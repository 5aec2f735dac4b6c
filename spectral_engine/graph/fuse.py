"""What exporters take apart, put together again when a plan is compiled: dense layers, GELU, SiLU, attention.

A group of steps becomes one only where nobody else reads, or asks for, the values within it.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.factored import Factored
from spectral_engine.graph.placement import stays_on_host

if TYPE_CHECKING:
    from spectral_engine.graph.plan import Step


ARITY = {
    **dict.fromkeys(("Add", "Mul", "Div", "MatMul"), 2),
    **dict.fromkeys(("Erf", "Sigmoid", "Softmax"), 1),
}


@dataclass(frozen=True)
class Group:
    """One function for several steps, and which they are; it stands where the last one stood."""

    function: Callable[..., Any]
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
        return at if fits and len(step.reads) == ARITY[step.node.op_type] else None

    def made_by(self, slot: int, op_type: str) -> bool:
        """Tell whether this operator produces a value."""
        at = self._producer.get(slot)
        return at is not None and self.steps[at].node.op_type == op_type

    def operands(self, at: int, *op_types: str) -> list[tuple[int, int]]:
        """Return (producing step, other operand) for operands of a binary step that are private."""
        reads = self.steps[at].reads
        found = []
        for mine, other in ((0, 1), (1, 0)):
            made = self.private(reads[mine], *op_types)
            if made is not None:
                found.append((made, reads[other]))
        return found

    def is_scalar(self, slot: int, value: float) -> bool:
        """Tell whether a value is this constant, as far as half precision could write it."""
        return slot in self.scalars and math.isclose(self.scalars[slot], value, rel_tol=3e-4)


Matcher = Callable[[Steps, int], Group | None]


def fuse(steps: Sequence[Step], kept: Collection[int], scalars: Mapping[int, float]) -> list[Step]:
    """Return fewer steps that compute the same values in `kept`."""
    found = list(steps)
    for op_type, matcher in MATCHERS:
        book = Steps(found, kept, scalars)
        gone: set[int] = set()
        merged: dict[int, Step] = {}
        for at in reversed(range(len(found))):
            if at in gone or found[at].node.op_type != op_type or found[at].node.domain:
                continue
            if len(found[at].reads) != ARITY[op_type] or len(found[at].writes) != 1:
                continue  # not sound; it fails by name when it runs
            group = matcher(book, at)
            if group is not None and gone.isdisjoint(group.absorbed):
                gone.update(group.absorbed)
                merged[at] = replace(found[at], function=group.function, reads=group.reads)
        found = [merged.get(at, step) for at, step in enumerate(found) if at not in gone]
    return _split_once(found)


def _split_once(steps: list[Step]) -> list[Step]:
    """Cut a value once where slices take it apart: the gradient then comes together in one piece too."""
    slices: dict[int, list[int]] = {}
    for at, step in enumerate(steps):
        if step.node.op_type == "Slice" and _span(step) is not None:
            slices.setdefault(step.reads[0], []).append(at)
    gone: set[int] = set()
    merged: dict[int, Step] = {}
    for slot, places in slices.items():
        spans = {at: span for at in places if (span := _span(steps[at])) is not None}
        order = sorted(spans, key=lambda at: spans[at][1])
        bounds = [spans[at] for at in order]
        touching = all(a[2] == b[1] for a, b in itertools.pairwise(bounds))
        if len(order) < 2 or bounds[0][1] != 0 or not touching or len({b[0] for b in bounds}) > 1:
            continue
        first = min(order)
        writes = tuple(steps[at].writes[0] for at in order)
        merged[first] = replace(
            steps[first], function=_cut_at(bounds), reads=(slot,), writes=writes
        )
        gone.update(at for at in order if at != first)
    return [merged.get(at, step) for at, step in enumerate(steps) if at not in gone]


def _span(step: Step) -> tuple[int, int, int] | None:
    """Return (axis, start, end) of a slice along one axis that is known beforehand."""
    ints = [step.node.constant_ints(i, n) for i, n in enumerate(("starts", "ends", "axes"), 1)]
    steps = step.node.constant_ints(4)
    if any(found is None or len(found) != 1 for found in ints) or steps not in (None, [1]):
        return None
    (start,), (end,), (axis,) = (found or [0] for found in ints)
    return (axis, start, end) if 0 <= start < end else None


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


def _attention(book: Steps, at: int) -> Group | None:
    """softmax(q kᵀ · scale) v, without a mask."""
    weights, v = book.steps[at].reads
    softmax = book.private(weights, "Softmax")
    if softmax is None or book.steps[softmax].node.get("axis", -1) not in {-1, 3}:
        return None
    scores = book.steps[softmax].reads[0]
    product = book.private(scores, "MatMul")
    if product is not None:
        roots = [_by_a_root(book, slot) for slot in book.steps[product].reads]
        if roots[0] is not None and roots[1] is not None:
            (q, a, i), (k, b, j) = roots[0], roots[1]
            return Group(_attend_rooted, (q, k, v, a, b), (softmax, product, i, j))
        (q, left, before), (k, right, turned) = (
            _without_scale(book, slot) for slot in book.steps[product].reads
        )
        function = functools.partial(_attend, scale=left * right)
        return Group(function, (q, k, v), (softmax, product, *before, *turned))
    scaling = book.private(scores, "Mul", "Div")
    if scaling is None:
        return None
    for product, scale in book.operands(scaling, "MatMul"):
        divides = book.steps[scaling].node.op_type == "Div"
        if divides and book.steps[scaling].reads[1] != scale:
            continue
        q, k = book.steps[product].reads
        attend = _attend_divided if divides else _attend_scaled
        return Group(attend, (q, k, v, scale), (softmax, scaling, product))
    return None


def _without_scale(book: Steps, slot: int) -> tuple[int, float, tuple[int, ...]]:
    """Return what a constant scales, the constant, and the step that does so."""
    at = book.private(slot, "Mul")
    if at is not None:
        left, right = book.steps[at].reads
        for value, scale in ((left, right), (right, left)):
            if scale in book.scalars:
                return value, book.scalars[scale], (at,)
    return slot, 1.0, ()


def _by_a_root(book: Steps, slot: int) -> tuple[int, int, int] | None:
    """Return what a square root scales, the root, and the step that does so: how torch writes the scale out."""
    at = book.private(slot, "Mul")
    if at is None:
        return None
    left, right = book.steps[at].reads
    for value, scale in ((left, right), (right, left)):
        if book.made_by(scale, "Sqrt"):
            return value, scale, at
    return None


@stays_on_host(3, 4)
def _attend_rooted(q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    if a.numel() == b.numel() == 1 and not (a.requires_grad or b.requires_grad):
        return _attend(q, k, v, float(a) * float(b))
    scores = torch.matmul(q * a.to(q.device), k * b.to(q.device))
    return torch.matmul(torch.softmax(scores, dim=-1), v)


def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float = 1.0) -> Tensor:
    """`k` is turned: [batch, heads, size, keys]."""
    if q.dim() == k.dim() == v.dim() == 4 and q.shape[:2] == k.shape[:2] == v.shape[:2]:
        return F.scaled_dot_product_attention(q, k.transpose(-1, -2), v, scale=scale)
    return torch.matmul(torch.softmax(torch.matmul(q * scale, k), dim=-1), v)


def _attend_scaled(q: Tensor, k: Tensor, v: Tensor, scale: Tensor) -> Tensor:
    if scale.numel() == 1:
        return _attend(q * scale.flatten()[0], k, v)
    return torch.matmul(torch.softmax(torch.matmul(q, k) * scale, dim=-1), v)


def _attend_divided(q: Tensor, k: Tensor, v: Tensor, scale: Tensor) -> Tensor:
    if scale.numel() == 1:
        return _attend(q / scale.flatten()[0], k, v)
    return torch.matmul(torch.softmax(torch.matmul(q, k) / scale, dim=-1), v)


def _factors(book: Steps, slot: int) -> tuple[list[int], list[int]]:
    """Return the factors of a private product, and the steps that multiply them."""
    at = book.private(slot, "Mul")
    return ([slot], []) if at is None else _factors_of(book, at)


def _factors_of(book: Steps, at: int) -> tuple[list[int], list[int]]:
    factors, steps = [], [at]
    for slot in book.steps[at].reads:
        more, within = _factors(book, slot)
        factors += more
        steps += within
    return factors, steps


def _gelu(book: Steps, at: int) -> Group | None:
    """0.5 · x · (1 + erf(x / √2)), multiplied in any order; and x · sigmoid(x)."""
    factors, steps = _factors_of(book, at)
    if len(factors) == 2:
        return _silu(book, factors)
    halves = [slot for slot in factors if book.is_scalar(slot, 0.5)]
    rest = [slot for slot in factors if slot not in halves]
    if len(halves) != 1 or len(rest) != 2:
        return None
    for x, other in (rest, rest[::-1]):
        inner = _one_plus_erf(book, x, other)
        if inner is not None:
            return Group(F.gelu, (x,), (*(step for step in steps if step != at), *inner))
    return None


def _one_plus_erf(book: Steps, x: int, slot: int) -> tuple[int, int, int] | None:
    add = book.private(slot, "Add")
    if add is None:
        return None
    for erf, one in book.operands(add, "Erf"):
        scaled = book.private(book.steps[erf].reads[0], "Div", "Mul")
        if scaled is None or not book.is_scalar(one, 1.0):
            continue
        left, right = book.steps[scaled].reads
        if book.steps[scaled].node.op_type == "Div":
            fits = left == x and book.is_scalar(right, math.sqrt(2))
        else:
            fits = any(
                a == x and book.is_scalar(b, math.sqrt(0.5))
                for a, b in ((left, right), (right, left))
            )
        if fits:
            return add, erf, scaled
    return None


def _silu(book: Steps, factors: list[int]) -> Group | None:
    for x, other in (factors, factors[::-1]):
        gate = book.private(other, "Sigmoid")
        if gate is not None and book.steps[gate].reads == (x,):
            return Group(F.silu, (x,), (gate,))
    return None


def _dense(book: Steps, at: int) -> Group | None:
    """x w + b."""
    for product, bias in book.operands(at, "MatMul"):
        x, w = book.steps[product].reads
        return Group(_linear, (x, w, bias), (product,))
    return None


def _linear(x: Tensor, w: Tensor | Factored, bias: Tensor) -> Tensor:
    if isinstance(w, Factored):
        return w.linear(x, bias)
    if bias.dim() == 1 and w.dim() == 2 and bias.shape[0] == w.shape[1]:
        return F.linear(x, w.t(), bias)
    return torch.matmul(x, w) + bias


# Which operator the last step of a group has, and how to tell; in the order in which they are looked for.
MATCHERS: tuple[tuple[str, Matcher], ...] = (
    ("Mul", _gelu),
    ("MatMul", _attention),
    ("Add", _dense),
)
