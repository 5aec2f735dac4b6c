"""How many links each transfer keeps, so that all together keep the budget exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import floor, prod

from spectral_engine.methods.sparse.options import Distribution

Shape = tuple[int, ...]  # out, in, and the kernel's sides where there is one


def erk_shares(shapes: Sequence[Shape], density: float) -> list[float]:
    """Return each transfer's density: ∝ Σ sides / Π sides, at most 1, `density` over all.

    Transfers that would pass 1 are dense, and the rest is scaled again. Source: Evci et al., "Rigging the lottery",
    ICML 2020, "Erdős–Rényi-Kernel"; for dense layers Mocanu et al., Nat. Commun. 9, 2383 (2018).
    """
    sizes = [prod(shape) for shape in shapes]
    raw = [sum(shape) / prod(shape) for shape in shapes]
    dense: set[int] = set()
    while len(dense) < len(shapes):
        free = [index for index in range(len(shapes)) if index not in dense]
        left = density * sum(sizes) - sum(sizes[index] for index in dense)
        factor = left / sum(raw[index] * sizes[index] for index in free)
        over = {index for index in free if raw[index] * factor > 1}
        if not over:
            return [1.0 if index in dense else raw[index] * factor for index in range(len(shapes))]
        dense |= over
    return [1.0] * len(shapes)


def uniform_shares(shapes: Sequence[Shape], density: float) -> list[float]:
    """Return the same density for each transfer."""
    return [density] * len(shapes)


SHARES: dict[Distribution, Callable[[Sequence[Shape], float], list[float]]] = {
    "erk": erk_shares,
    "uniform": uniform_shares,
}


def link_counts(shapes: Sequence[Shape], density: float, distribution: Distribution) -> list[int]:
    """Return how many links each transfer keeps: whole numbers that add up to the rounded budget.

    Each keeps one at least. What rounding leaves goes to the largest remainders (Hamilton's method).
    """
    sizes = [prod(shape) for shape in shapes]
    budget = max(len(shapes), round(density * sum(sizes)))
    exact = [
        share * size
        for share, size in zip(SHARES[distribution](shapes, density), sizes, strict=True)
    ]
    counts = [
        min(size, max(1, floor(links + 1e-9))) for links, size in zip(exact, sizes, strict=True)
    ]
    order = sorted(range(len(shapes)), key=lambda index: counts[index] - exact[index])
    while (left := budget - sum(counts)) != 0:
        step = 1 if left > 0 else -1
        free = [p for p in order if (counts[p] < sizes[p] if step > 0 else counts[p] > 1)]
        for index in (free if step > 0 else free[::-1])[: abs(left)]:
            counts[index] += step
    return counts
