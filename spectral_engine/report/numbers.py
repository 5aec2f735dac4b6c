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


def interval(name: str, ends: Interval) -> str:
    """Return the two ends."""
    if name in POINTS:
        return f"{ends.low * 100:.2f} to {ends.high * 100:.2f}"
    return f"{ends.low:.4g} to {ends.high:.4g}"


def measured(figure: MetricValue | None) -> str:
    """Return a metric with its interval, where it was measured."""
    if figure is None:
        return "not measured"
    return f"{metric(figure.name, figure.value)} ({interval(figure.name, figure.interval)})"


def reference(figure: MetricValue | None) -> str:
    """Return the original's metric; what is compared with itself is the reference, and nothing is measured."""
    if figure is not None and figure.against == "original":
        return "reference, by definition"
    return measured(figure)


def held_out(model: Measurement, baseline: Measurement) -> str:
    """Return a model's metric with its interval; the original, where it is handed back, is the reference again."""
    return measured(model.metric) if model.sha256 != baseline.sha256 else reference(model.metric)


def without_interval(model: Measurement, baseline: Measurement) -> str:
    """Return a model's metric on held-out rows, for a column of many."""
    if model.metric is None:
        return "–"
    itself = model.sha256 == baseline.sha256 and model.metric.against == "original"
    return "reference" if itself else metric(model.metric.name, model.metric.value)


def ratio(before: float, after: float) -> str:
    """Return how many times smaller."""
    return f"{before / after:.3g}×" if after else "–"
