"""Numbers as a person would write them."""

from __future__ import annotations

from spectral_engine.records.report import (
    FloorStatus,
    FloorTest,
    Interval,
    Measurement,
    MetricValue,
)

SCALES = ((1e9, " G"), (1e6, " M"), (1e3, " k"))
POINTS = {
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "top5",
    "auc",
    "miou",
    "dice",
    "map",
    "map50",
    "cer",
    "mape",
    "agreement",
    "rank_agreement",
}

FINDINGS: dict[FloorStatus, str] = {
    "shown": "shown",
    "not_shown": "not shown",
    "not_reached": "not reached",
    "left_out": "not tested",
}


def count(value: float) -> str:
    """Return 1.23 M for 1,234,567."""
    for scale, name in SCALES:
        if abs(value) >= scale * 10 or (scale > 1e3 and abs(value) >= scale):
            return f"{value / scale:.3g}{name}"
    return f"{value:,.0f}"


def size(value: float) -> str:
    """Return bytes in the unit that fits."""
    for scale, name in SCALES:
        if abs(value) >= scale:
            return f"{value / scale:.3g}{name}B"
    return f"{value:.0f} B"


def milliseconds(value: float) -> str:
    """Return a latency with three digits."""
    return f"{value:.3g} ms" if value >= 0.01 else f"{value * 1e3:.3g} µs"


def metric(name: str, value: float) -> str:
    """Return shares in percent, other metrics as they are."""
    return f"{value * 100:.2f} %" if name in POINTS else f"{value:.4g}"


def difference(name: str, value: float) -> str:
    """Return a signed difference: in points for shares."""
    value = value or 0.0
    return f"{value * 100:+.2f} points" if name in POINTS else f"{value:+.4g}"


def floor(name: str, test: FloorTest) -> str:
    """Return what a test is about."""
    return f"drop of at most {difference(name, test.floor).removeprefix('+')}"


def finding(name: str, test: FloorTest) -> str:
    """Return what came of a test: in a word, and how large the drop may be."""
    bound = difference(name, test.upper_bound)
    return f"{FINDINGS[test.status]}: below {bound} at {test.confidence * 100:g} %"


def interval(name: str, found: Interval) -> str:
    """Return the two ends."""
    if name in POINTS:
        return f"{found.low * 100:.2f} to {found.high * 100:.2f}"
    return f"{found.low:.4g} to {found.high:.4g}"


def measured(found: MetricValue | None) -> str:
    """Return a metric with its interval, where it was measured."""
    if found is None:
        return "not measured"
    return f"{metric(found.name, found.value)} ({interval(found.name, found.interval)})"


def reference(found: MetricValue | None) -> str:
    """Return the original's metric; what is compared with itself is the reference, and nothing is measured."""
    if found is not None and found.against == "original":
        return "reference, by definition"
    return measured(found)


def held_out(found: Measurement, baseline: Measurement) -> str:
    """Return a model's metric with its interval; the original, where it is handed back, is the reference again."""
    return measured(found.metric) if found.sha256 != baseline.sha256 else reference(found.metric)


def without_interval(found: Measurement, baseline: Measurement) -> str:
    """Return a model's metric on held-out rows, for a column of many."""
    if found.metric is None:
        return "–"
    itself = found.sha256 == baseline.sha256 and found.metric.against == "original"
    return "reference" if itself else metric(found.metric.name, found.metric.value)


def ratio(before: float, after: float) -> str:
    """Return how many times smaller."""
    return f"{before / after:.3g}×" if after else "–"
