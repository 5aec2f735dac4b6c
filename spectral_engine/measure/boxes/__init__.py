"""Boxes from a detector's outputs."""

from spectral_engine.measure.boxes.decoding import decode
from spectral_engine.measure.boxes.layouts import Layout, box_layouts, fits

__all__ = ["Layout", "box_layouts", "decode", "fits"]
