"""A graph out, as bytes or as files."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TypeGuard

import numpy as np
import onnx
import onnx_ir as ir

from spectral_engine.onnx_io.external import relocate
from spectral_engine.onnx_io.map_types import has_kept_types, put_types_back
from spectral_engine.onnx_io.weights_written import write_with_weights

ONE_FILE_BYTES = 2**31 - 2**20  # what protobuf can hold, less room for the graph itself
SMALLEST_BESIDE = (
    1024  # bytes; runtimes look into smaller tensors, as shapes, before they read weights
)
PAGE_BYTES = 4096  # where a runtime maps weights rather than reads them, each begins at a page


def write_one_file(model: ir.Model, path: Path) -> None:
    """Write what `to_bytes` gives, with one large weight in memory at a time."""
    rest = model.clone()
    large = {
        name: value.const_value
        for name, value in rest.graph.initializers.items()
        if _is_large(value.const_value)
    }
    for name, tensor in large.items():
        nothing = np.empty((0,) * len(tensor.shape), tensor.dtype.numpy())
        rest.graph.initializers[name].const_value = ir.Tensor(
            nothing, tensor.dtype, name=tensor.name, doc_string=tensor.doc_string
        )
    proto = ir.to_proto(rest)
    put_types_back(model, proto)
    with path.open("wb") as file:
        write_with_weights(proto, large, file)


def _is_large(tensor: ir.TensorProtocol | None) -> TypeGuard[ir.TensorProtocol]:
    """Say whether a tensor is an array of some size that is not held as a message anyway."""
    return (
        isinstance(tensor, ir.Tensor | ir.LazyTensor)
        and tensor.nbytes >= SMALLEST_BESIDE
        and tensor.dtype != ir.DataType.STRING
    )


def to_bytes(model: ir.Model) -> bytes:
    """Serialise in one piece; the same graph gives the same bytes."""
    proto = ir.to_proto(model)
    put_types_back(model, proto)
    return bytes(proto.SerializeToString(deterministic=True))


def save_model(model: ir.Model, path: Path, most: int | None = None) -> tuple[Path, ...]:
    """Write the model as one file; weights that do not fit in one go into `NAME.data` beside it.

    `most` bytes of weights go into one file, by default as many as fit. Returns the files beside it: none, or that one.
    Weights are worked out and written one after the other.
    """
    if _weight_bytes(model) <= (ONE_FILE_BYTES if most is None else min(most, ONE_FILE_BYTES)):
        write_one_file(model, path)
        return ()
    data = data_path(path)
    ir.save(
        model,
        path,
        format="protobuf",
        external_data=data.name,
        size_threshold_bytes=SMALLEST_BESIDE,
        alignment=PAGE_BYTES,
        align_threshold=0,
    )
    if has_kept_types(model):
        proto = onnx.load(path, load_external_data=False)
        put_types_back(model, proto)
        path.write_bytes(proto.SerializeToString(deterministic=True))
    return (data,)


def data_path(path: Path) -> Path:
    """Return where the weights of a model that does not fit in one file go."""
    return path.with_name(f"{path.name}.data")


def name_by_content(path: Path, external: tuple[Path, ...]) -> tuple[Path, ...]:
    """Rename a model's data file after its digest, so that models of several jobs can lie in one folder."""
    for data in external:
        with data.open("rb") as file:
            name = f"{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}.data"
        _write_located(path, path, name)
        return (data.replace(data.with_name(name)),)
    return ()


def copy_files(path: Path, external: tuple[Path, ...], target: Path) -> tuple[Path, ...]:
    """Copy a model with its data file, which is then called `NAME.data`; return all that was written."""
    if not external:
        shutil.copyfile(path, target)
        return (target,)
    data = data_path(target)
    part = data.with_name(f"{data.name}.part")
    shutil.copyfile(external[0], part)
    part.replace(data)  # whoever has mapped an older file keeps it
    _write_located(path, target, data.name)
    return (target, data)


def _write_located(path: Path, target: Path, location: str) -> None:
    proto = onnx.load(path, load_external_data=False)
    relocate(proto, location)
    target.write_bytes(proto.SerializeToString(deterministic=True))


def _weight_bytes(model: ir.Model) -> int:
    return sum(
        value.const_value.nbytes
        for graph in model.graphs()
        for value in graph.initializers.values()
        if value.const_value is not None and value.const_value.dtype != ir.DataType.STRING
    )
