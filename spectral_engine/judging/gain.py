"""Whether a candidate is a gain in time: measured beside the original, and beside wider candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from spectral_engine.cost.budget import Budget
from spectral_engine.judging.verdict import Verdict
from spectral_engine.measure.latency import speedup
from spectral_engine.records.report import Latency, Speedup

CLEARLY = 0.05  # slower: more than where a model happens to lie in memory makes
SIZES = frozenset({"bytes", "params"})  # who limits these gains, whatever the clock says

Times = Mapping[str, Sequence[Latency]]


@dataclass(frozen=True)
class Timed:
    """The candidate that is handed back, its verdict, and how long `baseline` and candidates take, by name."""

    name: str
    verdict: Verdict
    times: Times


def with_time(
    chosen: Timed,
    budget: Budget,
    wider: Mapping[str, Verdict],
    measure: Callable[[Sequence[str]], Times],
) -> Timed:
    """Return what is handed back once time counts too; `wider` candidates go from narrow to wide.

    Where the chosen one is slower than the original, it is timed anew beside all wider ones that meet the target, and
    the narrowest that is faster takes its place. Where none is, and the chosen one is clearly slower in both
    measurements, it is no gain. Nothing changes where the target is not met, or bytes or parameters are limited.
    """
    before = speedups(chosen.times, chosen.name)
    counts = chosen.verdict.outcome == "target_met" and not SIZES & budget.limits.keys()
    if not counts or not any(one.verdict == "slower" for one in before):
        return chosen
    meeting = [name for name, verdict in wider.items() if verdict.outcome == "target_met"]
    times = measure([chosen.name, *meeting])
    now = speedups(times, chosen.name)
    if is_faster(now):
        return replace(chosen, times=times)
    for name in meeting:
        if is_faster(speedups(times, name)):
            return Timed(name, _instead(wider[name], chosen.name, now), times)
    return Timed(chosen.name, _told(chosen.verdict, before, now), times)


def speedups(times: Times, name: str) -> list[Speedup]:
    """Return how much faster a candidate is than the original, by batch size."""
    return [
        speedup(before, after)
        for before, after in zip(times["baseline"], times.get(name, ()), strict=False)
    ]


def is_faster(by_batch_size: Sequence[Speedup]) -> bool:
    """Say whether a candidate is faster at some batch size, and slower at none."""
    verdicts = {one.verdict for one in by_batch_size}
    return "faster" in verdicts and "slower" not in verdicts


def is_clearly_slower(by_batch_size: Sequence[Speedup]) -> bool:
    """Say whether a candidate is slower at some batch size by more than chance, and faster at none."""
    return any(one.interval.high < 1 - CLEARLY for one in by_batch_size) and not any(
        one.verdict == "faster" for one in by_batch_size
    )


def _told(verdict: Verdict, before: Sequence[Speedup], now: Sequence[Speedup]) -> Verdict:
    slower = [one for one in now if one.verdict == "slower"]
    if not slower:
        return verdict
    reason = f"no gain in time: measured beside the original, it takes {_in_words(slower)}"
    if is_clearly_slower(before) and is_clearly_slower(now):
        return replace(verdict, outcome="no_gain", reason=f"{reason}; {verdict.reason}")
    return replace(verdict, reason=f"{verdict.reason}; {reason}")


def _instead(verdict: Verdict, narrower: str, by_batch_size: Sequence[Speedup]) -> Verdict:
    reason = f"{verdict.reason}; {narrower} meets it too, but takes {_in_words(by_batch_size)} as the original"
    return replace(verdict, reason=reason)


def _in_words(by_batch_size: Sequence[Speedup]) -> str:
    return " and ".join(
        f"{1 / one.ratio:.2f} times as long at batch size {one.batch_size}" for one in by_batch_size
    )
