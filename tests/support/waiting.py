"""Waiting for what must come true, with an end to it, instead of for a time that should be enough."""

from __future__ import annotations

import inspect
import reprlib
import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], bool],
    seconds: float = 60.0,
    *,
    pause: float = 0.05,
    tell: Callable[[], str] | None = None,
) -> None:
    """Ask again and again until the condition holds.

    When it does not within `seconds`, the AssertionError shows its source, the values that it looks at, and what
    `tell` returns then (a log, say). `pause` is the time between two questions.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            told = f"\n{tell()}" if tell is not None else ""
            raise AssertionError(f"waited {seconds:g} s in vain for {_describe(condition)}{told}")
        time.sleep(pause)


def _describe(condition: Callable[[], bool]) -> str:
    """Return a condition's source and the values of the names around it, where these can be known."""
    if not inspect.isfunction(condition):
        return repr(condition)
    try:
        source = inspect.getsource(condition).strip()
    except OSError:
        return repr(condition)
    known = inspect.getclosurevars(condition).nonlocals
    values = ", ".join(f"{name} = {reprlib.repr(value)}" for name, value in known.items())
    return f"`{source}`, where {values}" if values else f"`{source}`"
