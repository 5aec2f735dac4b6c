"""What of a sequence of calls leads to some of their values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import TypeVar

Call = TypeVar("Call")
Value = TypeVar("Value", bound=Hashable)


def leading_to(
    values: Collection[Value],
    calls: Sequence[Call],
    reads: Callable[[Call], Iterable[Value]],
    writes: Callable[[Call], Iterable[Value]],
) -> list[Call]:
    """Return the calls on which these values depend; both in the order in which they run."""
    needed, leading = set(values), []
    for call in reversed(calls):
        if not needed.isdisjoint(writes(call)):
            leading.append(call)
            needed.update(reads(call))
    return leading[::-1]
