"""A graph out, as bytes or as a file."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir


def to_bytes(model: ir.Model) -> bytes:
    """Serialise in one piece; the same graph gives the same bytes."""
    return bytes(ir.to_proto(model).SerializeToString(deterministic=True))


def save_model(model: ir.Model, path: Path) -> None:
    """Write the model as one file."""
    path.write_bytes(to_bytes(model))
