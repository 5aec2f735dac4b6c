"""A graph out, as bytes or as a file."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from spectral_engine.errors import ModelTooLarge

ONE_FILE_BYTES = 2**31 - 2**20  # what protobuf can hold, less room for the graph itself


def require_one_file(model: ir.Model) -> None:
    """Raise ModelTooLarge where the weights do not fit in one ONNX file."""
    tensors = [value.const_value for value in model.graph.initializers.values()]
    held = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    if held > ONE_FILE_BYTES:
        raise ModelTooLarge(
            f"the weights have {held:,} bytes; what is compressed is written in one file, "
            f"which holds at most {ONE_FILE_BYTES:,}",
            pointer="#/model",
        )


def to_bytes(model: ir.Model) -> bytes:
    """Serialise in one piece; the same graph gives the same bytes."""
    return bytes(ir.to_proto(model).SerializeToString(deterministic=True))


def save_model(model: ir.Model, path: Path) -> None:
    """Write the model as one file."""
    path.write_bytes(to_bytes(model))
