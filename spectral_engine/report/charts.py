"""Geometry of the report's plots: numbers in, SVG coordinates out. Templates draw what these return."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 640.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 14.0, 12.0, 34.0
MOST_BARS = 160
# Viridis at nine places: even steps of lightness, safe for colour-blind readers.
COLOUR_MAP = np.array(
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ],
    dtype=np.float64,
)  # fmt: skip


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Point:
    """A place in a plot, with what is said of it."""

    x: float
    y: float
    text: str
    marked: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Plot:
    """Points in SVG coordinates and the ticks of both axes."""

    points: list[Point]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    width: float = WIDTH
    height: float = HEIGHT

    @property
    def line(self) -> str:
        """The points as an SVG polyline."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


@dataclass(frozen=True)
class Mark:
    """One thing to plot, in its own units."""

    x: float
    y: float
    text: str
    marked: bool = False
    low: float | None = None
    high: float | None = None


def plot(marks: Sequence[Mark], *, log_x: bool = False, percent_y: bool = False) -> Plot:
    """Place marks on linear axes, the first one logarithmic where asked."""
    xs = [math.log10(max(mark.x, 1e-12)) if log_x else mark.x for mark in marks]
    ends = [end for mark in marks for end in (mark.y, mark.low, mark.high) if end is not None]
    x_range, y_range = _range(xs), _range(ends)
    x_ticks = _log_ticks(x_range) if log_x else _ticks(x_range)
    points = [
        Point(
            _across(x, x_range),
            _up(mark.y, y_range),
            mark.text,
            mark.marked,
            None if mark.low is None else _up(mark.low, y_range),
            None if mark.high is None else _up(mark.high, y_range),
        )
        for x, mark in zip(xs, marks, strict=True)
    ]
    return Plot(
        points,
        [Tick(_across(at, x_range), text) for at, text in x_ticks],
        [
            Tick(_up(at, y_range), f"{at * 100:g} %" if percent_y else text)
            for at, text in _ticks(y_range)
        ],
    )


@dataclass(frozen=True)
class Bar:
    """A bar of a spectrum."""

    x: float
    width: float
    y: float
    height: float


def bars(
    values: Sequence[float], largest: float, width: float = 300.0, height: float = 72.0
) -> list[Bar]:
    """Return bars of values in falling order; many values are thinned to evenly spaced ranks."""
    ordered = sorted(values, reverse=True)
    if len(ordered) > MOST_BARS:
        places = np.linspace(0, len(ordered) - 1, MOST_BARS).round().astype(int)
        ordered = [ordered[rank] for rank in places]
    step = width / max(1, len(ordered))
    scale = height / largest if largest > 0 else 0.0
    return [
        Bar(i * step, max(0.4, step * 0.86), height - value * scale, value * scale)
        for i, value in enumerate(ordered)
    ]


def heat_map(values: Sequence[float], rows: int, columns: int, zoom: int) -> str:
    """Return a PNG data URI of values from 0 to their largest, each a square of `zoom` pixels."""
    grid = np.array(values, dtype=np.float64).reshape(rows, columns)
    shares = grid / grid.max() if grid.max() > 0 else grid
    steps = np.arange(len(COLOUR_MAP)) / (len(COLOUR_MAP) - 1)
    pixels = np.stack([np.interp(shares, steps, COLOUR_MAP[:, c]) for c in range(3)], axis=-1)
    wide = pixels.round().astype(np.uint8).repeat(zoom, axis=0).repeat(zoom, axis=1)
    return "data:image/png;base64," + base64.b64encode(_png(wide)).decode()


def _png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """Encode [height, width, 3] as PNG: one unfiltered scan line after another."""
    height, width = pixels.shape[:2]
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return low - margin, high + margin


def _across(value: float, ends: tuple[float, float]) -> float:
    return LEFT + (value - ends[0]) / (ends[1] - ends[0]) * (WIDTH - LEFT - RIGHT)


def _up(value: float, ends: tuple[float, float]) -> float:
    return HEIGHT - BOTTOM - (value - ends[0]) / (ends[1] - ends[0]) * (HEIGHT - TOP - BOTTOM)


def _ticks(ends: tuple[float, float], count: int = 5) -> list[tuple[float, str]]:
    rough = (ends[1] - ends[0]) / count
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(magnitude * nice for nice in (1, 2, 2.5, 5, 10) if magnitude * nice >= rough)
    first = math.ceil(ends[0] / step)
    places = [i * step for i in range(first, math.floor(ends[1] / step) + 1)]
    return [(value, f"{value:.6g}") for value in places]


def _log_ticks(ends: tuple[float, float]) -> list[tuple[float, str]]:
    powers = [
        (math.log10(nice) + power, f"{nice * 10.0**power:,.6g}")
        for power in range(math.floor(ends[0]), math.ceil(ends[1]) + 1)
        for nice in (1, 2, 5)
    ]
    inside = [(at, text) for at, text in powers if ends[0] <= at <= ends[1]]
    return inside or [((ends[0] + ends[1]) / 2, f"{10 ** ((ends[0] + ends[1]) / 2):,.4g}")]
