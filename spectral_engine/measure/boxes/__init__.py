"""Boxes from a detector's outputs."""

from spectral_engine.measure.boxes.decoding import MOST_BOXES, decode
from spectral_engine.measure.boxes.joined import Join, possible_joins
from spectral_engine.measure.boxes.layouts import Layout, box_layouts, fits, joined_layouts, parts

__all__ = [
    "MOST_BOXES",
    "Join",
    "Layout",
    "box_layouts",
    "decode",
    "fits",
    "joined_layouts",
    "parts",
    "possible_joins",
]
