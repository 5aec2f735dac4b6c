"""Weights in further files: those of the model's own folder and no others, each refused by name.

1. A location is relative and has no `..`: it cannot leave the folder.
2. Nothing on the way is a symbolic link, and the file has no second hard link.
3. The file is there, and holds the bytes that offset and length say, as many as type and shape need.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from spectral_engine.errors import ModelInvalid, ModelTooLarge

EXTERNAL = onnx.TensorProto.EXTERNAL


def external_tensors(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Return every tensor whose bytes lie in another file, those of bodies and functions too."""
    return [*_external(proto.graph.initializer), *_external(_inner_tensors(proto))]


def _external(tensors: Iterable[onnx.TensorProto]) -> list[onnx.TensorProto]:
    return [tensor for tensor in tensors if tensor.data_location == EXTERNAL]


def check_external(proto: onnx.ModelProto, folder: Path, max_bytes: int) -> None:
    """Refuse external tensors that are not whole, and read those that are no initializers of the graph itself.

    Raises ModelInvalid, ModelTooLarge.
    """
    total = sum(_byte_range(tensor, folder)[2] for tensor in external_tensors(proto))
    if total > max_bytes:
        raise ModelTooLarge(
            f"the external data have {total:,} bytes; at most {max_bytes:,} are allowed"
        )
    packed = [t for t in _external(proto.graph.initializer) if not _is_array(t)]
    for tensor in _external([*packed, *_inner_tensors(proto)]):
        _read(tensor, *_byte_range(tensor, folder))


def _is_array(tensor: onnx.TensorProto) -> bool:
    """Say whether the bytes are an array as they stand: whole bytes for every element."""
    return ir.DataType(tensor.data_type).bitwidth % 8 == 0


def _read(tensor: onnx.TensorProto, path: Path, offset: int, length: int) -> None:
    with path.open("rb") as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.DEFAULT


@contextmanager
def external_apart(proto: onnx.ModelProto) -> Iterator[None]:
    """Show ONNX's checker external tensors, which are checked here, as empty ones."""
    apart = [(tensor, list(tensor.dims)) for tensor in external_tensors(proto)]
    for tensor, _ in apart:
        tensor.data_location = onnx.TensorProto.DEFAULT
        tensor.dims[:] = [0]
    try:
        yield
    finally:
        for tensor, dims in apart:
            tensor.data_location = EXTERNAL
            tensor.dims[:] = dims


def map_external(model: ir.Model, folder: Path) -> None:
    """Let external initializers be views of their files: they take memory only while they are read."""
    files: dict[str, NDArray[np.uint8]] = {}  # one map for each file, however many tensors it holds
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if isinstance(tensor, ir.ExternalTensor):
            location = str(tensor.location)
            if location not in files:
                files[location] = _map(folder.joinpath(*PurePosixPath(location).parts))
            value.const_value = _view(tensor, files[location])


def _map(path: Path) -> NDArray[np.uint8]:
    if path.stat().st_size == 0:
        return np.empty(0, np.uint8)
    return np.asarray(np.memmap(path, np.uint8, mode="r"))


def _view(tensor: ir.ExternalTensor, file: NDArray[np.uint8]) -> ir.Tensor[NDArray[Any]]:
    start = tensor.offset or 0
    elements = file[start : start + tensor.nbytes].view(tensor.dtype.numpy())
    array = elements.reshape(tensor.shape.numpy())
    return ir.Tensor(array, tensor.dtype, name=tensor.name, doc_string=tensor.doc_string)


def refuse_external(proto: onnx.ModelProto) -> None:
    """Raise ModelInvalid where a model that came as bytes alone needs another file."""
    for tensor in external_tensors(proto):
        raise ModelInvalid(
            f"initializer {tensor.name!r} lies in an external file: upload the model in one file, "
            "or its files together"
        )


def relocate(proto: onnx.ModelProto, location: str) -> None:
    """Say that all external tensors lie in this one file."""
    for tensor in external_tensors(proto):
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location


def external_files(proto: onnx.ModelProto, folder: Path) -> set[Path]:
    """Return the files in which external tensors lie. Raises ModelInvalid."""
    return {_byte_range(tensor, folder)[0] for tensor in external_tensors(proto)}


def _byte_range(tensor: onnx.TensorProto, folder: Path) -> tuple[Path, int, int]:
    """Return file, offset and length of a tensor's bytes."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    path = _inside(tensor, location, folder)
    size = _checked_size(tensor, location, path, folder)
    needed = _needed(tensor, location)
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", size - offset))
    except ValueError:
        raise _invalid(tensor, location, "offset and length are not numbers") from None
    if offset < 0 or length < 0 or offset + length > size:
        raise _invalid(tensor, location, f"bytes {offset} to {offset + length} of {size}")
    if length != needed:
        raise _invalid(tensor, location, f"{length} bytes where type and shape need {needed}")
    return path, offset, length


def _inside(tensor: onnx.TensorProto, location: str, folder: Path) -> Path:
    parts = PurePosixPath(location).parts
    leaves = location.startswith("/") or ".." in parts or "\\" in location or "\0" in location
    if not parts or leaves:
        raise _invalid(tensor, location, "the location leaves the model's folder")
    return folder.joinpath(*parts)


def _checked_size(tensor: onnx.TensorProto, location: str, path: Path, folder: Path) -> int:
    try:
        for step in (*path.relative_to(folder).parents, path.relative_to(folder)):
            if stat.S_ISLNK((folder / step).lstat().st_mode) and step != Path():
                raise _invalid(tensor, location, "it is a link")
        status = path.lstat()
    except OSError:
        raise _invalid(tensor, location, "the file is missing") from None
    if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
        raise _invalid(tensor, location, "it is no readable file")
    if status.st_nlink != 1:
        raise _invalid(tensor, location, "the file has a second link")
    return status.st_size


def _needed(tensor: onnx.TensorProto, location: str) -> int:
    try:
        bits = ir.DataType(tensor.data_type).bitwidth
    except (ValueError, TypeError):
        raise _invalid(tensor, location, "its type cannot lie in a file") from None
    return int(-(-prod(tensor.dims) * bits // 8))


def _invalid(tensor: onnx.TensorProto, location: str, what: str) -> ModelInvalid:
    return ModelInvalid(
        f"initializer {tensor.name!r}, external data {location!r}: {what}", pointer="#/model"
    )


def _inner_tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every tensor but the initializers of the graph itself."""
    yield from _sparse_and_nodes(proto.graph)
    for function in proto.functions:
        yield from _of_nodes(function.node)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _sparse_and_nodes(graph)


def _sparse_and_nodes(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _of_graph(graph)
