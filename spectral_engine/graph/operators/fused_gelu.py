"""GELU and SiLU that an exporter took apart."""

from __future__ import annotations

import math

import torch.nn.functional as F

from spectral_engine.graph.fusion import Fusion, Group, Steps


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


GELU = Fusion(_gelu, turn=1)
