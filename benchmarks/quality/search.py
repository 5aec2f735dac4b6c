"""The search of a method's options: along the learning rates to a minimum, then one other knob after the other."""

from collections.abc import Callable
from typing import Any

Option = dict[str, Any]
Grid = dict[str, tuple[Any, ...]]  # knob -> its values; `rate` ascends


def climb(grid: Grid, error_of: Callable[[Option], float]) -> Option:
    """Return the option with the least error that the walk meets; it asks for some 5 of a grid's 8 or 16 options.

    The rates are walked from their upper middle, up first, down where up is no better, until the error rises; then each
    other knob tries its other values at what is best so far.
    """
    seen: dict[tuple[Any, ...], float] = {}

    def error(option: Option) -> float:
        key = tuple(option.values())
        if key not in seen:
            seen[key] = error_of(option)
        return seen[key]

    best = {knob: values[0] for knob, values in grid.items()}
    rates = grid["rate"]
    best["rate"] = _lowest(rates, len(rates) // 2, lambda rate: error(best | {"rate": rate}))
    for knob, values in grid.items():
        if knob != "rate":
            best[knob] = min(values, key=lambda value, knob=knob: error(best | {knob: value}))
    return best


def _lowest(values: tuple[Any, ...], index: int, error: Callable[[Any], float]) -> Any:
    """Return the value at the minimum of its error that is met first on a walk from `index`, upwards first."""
    least = error(values[index])
    for step in (1, -1):
        begun = index
        while (
            0 <= index + step < len(values) and (next_error := error(values[index + step])) < least
        ):
            index, least = index + step, next_error
        if index != begun:
            break
    return values[index]
