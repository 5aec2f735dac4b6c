"""Weights in further files: read from the model's own folder and nowhere else, each refused by name.

1. A location is relative and has no `..`: it cannot leave the folder.
2. Nothing on the way is a symbolic link, and the file has no second hard link.
3. The file is there, and holds the bytes that offset and length say, as many as type and shape need.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path, PurePosixPath

import onnx
import onnx_ir as ir

from spectral_engine.errors import ModelInvalid, ModelTooLarge

EXTERNAL = onnx.TensorProto.EXTERNAL


def external_tensors(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Return every tensor whose bytes lie in another file, those of bodies and functions too."""
    own = [node for function in proto.functions for node in function.node]
    found = [*_of_graph(proto.graph), *_of_nodes(own)]
    return [tensor for tensor in found if tensor.data_location == EXTERNAL]


def read_external(proto: onnx.ModelProto, folder: Path, max_bytes: int) -> None:
    """Take the bytes of all external tensors into the model. Raises ModelInvalid, ModelTooLarge."""
    places = [(tensor, *_place(tensor, folder)) for tensor in external_tensors(proto)]
    total = sum(length for _, _, _, length in places)
    if total > max_bytes:
        raise ModelTooLarge(
            f"the external data have {total:,} bytes; at most {max_bytes:,} are allowed"
        )
    for tensor, path, offset, length in places:
        with path.open("rb") as file:
            file.seek(offset)
            tensor.raw_data = file.read(length)
        del tensor.external_data[:]
        tensor.data_location = onnx.TensorProto.DEFAULT


def refuse_external(proto: onnx.ModelProto) -> None:
    """Raise ModelInvalid where a model that came as bytes alone needs another file."""
    for tensor in external_tensors(proto):
        raise ModelInvalid(
            f"initializer {tensor.name!r} lies in an external file: upload the model in one file, "
            "or its files together"
        )


def external_files(proto: onnx.ModelProto, folder: Path) -> set[Path]:
    """Return the files in which external tensors lie. Raises ModelInvalid."""
    return {_place(tensor, folder)[0] for tensor in external_tensors(proto)}


def _place(tensor: onnx.TensorProto, folder: Path) -> tuple[Path, int, int]:
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
        found = path.lstat()
    except OSError:
        raise _invalid(tensor, location, "the file is missing") from None
    if not stat.S_ISREG(found.st_mode) or not os.access(path, os.R_OK):
        raise _invalid(tensor, location, "it is no readable file")
    if found.st_nlink != 1:
        raise _invalid(tensor, location, "the file has a second link")
    return found.st_size


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


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
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
