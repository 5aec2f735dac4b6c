"""The report as one self-contained HTML page: no request leaves it, and no text in it is trusted."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from spectral_engine.records.report import (
    CandidateEntry,
    InputRelevance,
    NodeRelevance,
    Report,
    TopologyPoint,
    TransferSpectrum,
)
from spectral_engine.report import charts, numbers

MOST_ROWS = 1000  # of one layer's table; the CSV has them all
MOST_FEATURES = 30
HEAT_MAP_PIXELS = 320
IMAGE_SIDES = range(4, 513)


@dataclass(frozen=True)
class Spectrum:
    """Bars of one transfer, before and after, to one scale."""

    name: str
    before: list[charts.Bar]
    after: list[charts.Bar]
    nodes: tuple[int, int]
    largest: float


@dataclass(frozen=True)
class LayerTable:
    """Nodes of one layer, most relevant first, and a map of which stay in original order."""

    name: str
    rows: list[NodeRelevance]
    hidden: int
    kept: list[bool]


@dataclass(frozen=True)
class Features:
    """Relevance of one input: an image of it, or its strongest features."""

    name: str
    image: str | None
    shape: tuple[int, int] | None
    strongest: list[tuple[str, float, float]]  # name, value, share of the largest


@dataclass(frozen=True)
class TopologyPlots:
    """How the links changed: how many are there, how many came or went, how many are not those of the start."""

    density: charts.Plot
    changed: charts.Plot
    new: charts.Plot
    reentered: int


def render(report: Report) -> str:
    """Return the page."""
    style, script = _asset("report.css"), _asset("report.js")
    chosen = report.chosen_candidate()
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            chosen=chosen,
            plan=report.plan(),
            numbers=numbers,
            name=report.baseline.metric.name if report.baseline.metric else "metric",
            curve=_curve(report),
            path=_path(report),
            topology=_topology(report.topology),
            spectra=[_spectrum(item) for item in report.spectra],
            layers=_layers(report.relevance),
            inputs=[_features(item) for item in report.input_relevance],
            classes=_classes(report, chosen),
            style=Markup(style),
            script=Markup(script),
            style_hash=_digest(style),
            script_hash=_digest(script),
            data=Markup(_safe_json(report)),
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("spectral_engine.report", "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _asset(name: str) -> str:
    return (files("spectral_engine.report") / "templates" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return the hash by which a content security policy lets one inline text through."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _safe_json(report: Report) -> str:
    """Return JSON that cannot end the script element that holds it."""
    return (
        report.model_dump_json()
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    )


def _curve(report: Report) -> charts.Plot:
    """The metric of every candidate against its nodes."""
    marks = []
    for entry in report.candidates:
        metric = entry.measurement.metric
        value = metric.value if metric else entry.measurement.validation_metric
        marks.append(
            charts.Mark(
                entry.measurement.nodes,
                value,
                f"{entry.id}: {entry.measurement.nodes:,} nodes, {value:.4g}",
                marked=entry.chosen,
                low=metric.interval.low if metric else None,
                high=metric.interval.high if metric else None,
            )
        )
    return charts.plot(marks, log_x=True, percent_y=_in_points(report))


def _path(report: Report) -> charts.Plot | None:
    """Nodes against training steps."""
    if not report.path:
        return None
    start = charts.Mark(0, report.baseline.nodes, f"start: {report.baseline.nodes:,} nodes")
    marks = [
        charts.Mark(
            point.step,
            point.nodes,
            f"step {point.step:,}: {point.nodes:,} nodes"
            + (f", loss {point.loss:.4g}" if point.loss is not None else ""),
            marked=point.validation_metric is not None,
        )
        for point in report.path
    ]
    return charts.plot([start, *marks])


def _topology(points: Sequence[TopologyPoint]) -> TopologyPlots | None:
    if not points:
        return None
    most = max(point.links + point.dropped - point.grown for point in points)  # before the first

    def against_steps(value: Callable[[TopologyPoint], float]) -> charts.Plot:
        marks = [
            charts.Mark(
                point.step,
                value(point),
                f"step {point.step:,}: {point.links:,} links, {point.grown:,} came, {point.dropped:,} went",
            )
            for point in points
        ]
        return charts.plot(marks, percent_y=True)

    return TopologyPlots(
        against_steps(lambda point: point.links / most),
        against_steps(lambda point: (point.grown + point.dropped) / max(1, point.links)),
        against_steps(lambda point: point.new_since_start),
        points[-1].reentered,
    )


def _in_points(report: Report) -> bool:
    metric = report.baseline.metric
    return metric is not None and metric.name in numbers.POINTS


def _spectrum(item: TransferSpectrum) -> Spectrum:
    largest = max([*item.before, *item.after], default=0.0)
    return Spectrum(
        item.transfer,
        charts.bars(item.before, largest),
        charts.bars(item.after, largest),
        (len(item.before), len(item.after)),
        largest,
    )


def _layers(relevance: Sequence[NodeRelevance]) -> list[LayerTable]:
    rows: dict[str, list[NodeRelevance]] = {}
    for node in relevance:
        rows.setdefault(node.layer, []).append(node)
    return [
        LayerTable(
            name,
            sorted(nodes, key=lambda node: (not node.kept, -node.relevance))[:MOST_ROWS],
            max(0, len(nodes) - MOST_ROWS),
            [node.kept for node in nodes],
        )
        for name, nodes in rows.items()
    ]


def _features(item: InputRelevance) -> Features:
    sides = _image_sides(item)
    if sides is not None:
        rows, columns = sides
        summed = [sum(item.values[i :: rows * columns]) for i in range(rows * columns)]
        zoom = max(1, HEAT_MAP_PIXELS // max(sides))
        return Features(item.input, charts.heat_map(summed, rows, columns, zoom), sides, [])
    names = item.feature_names or [f"feature {index}" for index in range(len(item.values))]
    pairs = sorted(zip(names, item.values, strict=False), key=lambda pair: -pair[1])[:MOST_FEATURES]
    largest = pairs[0][1] if pairs and pairs[0][1] > 0 else 1.0
    return Features(
        item.input, None, None, [(name, value, value / largest) for name, value in pairs]
    )


def _image_sides(item: InputRelevance) -> tuple[int, int] | None:
    """Return height and width of an input that is an image: channels first, or a flat square without names."""
    if (
        len(item.shape) in {2, 3}
        and item.shape[-1] in IMAGE_SIDES
        and item.shape[-2] in IMAGE_SIDES
    ):
        return item.shape[-2], item.shape[-1]
    side = round(len(item.values) ** 0.5)
    if item.feature_names is None and side * side == len(item.values) and side in IMAGE_SIDES:
        return side, side
    return None


def _classes(report: Report, chosen: CandidateEntry) -> list[tuple[str, float, float]]:
    before, after = report.baseline.metric, chosen.measurement.metric
    if before is None or after is None or not before.per_class or not after.per_class:
        return []
    return [(k, before.per_class[k], after.per_class.get(k, 0.0)) for k in before.per_class]
