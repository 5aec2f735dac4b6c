"""Boxes from a detector's outputs."""

from spectral_engine.measure.boxes.decoding import decode
from spectral_engine.measure.boxes.joined import Join, possible_joins
from spectral_engine.measure.boxes.layouts import Layout, box_layouts, fits, joined_layouts

__all__ = ["Join", "Layout", "box_layouts", "decode", "fits", "joined_layouts", "possible_joins"]
