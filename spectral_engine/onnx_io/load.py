"""Untrusted bytes in, a checked graph out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx.inliner import inline_local_functions
from onnx_ir.passes.common import LiftConstantsToInitializersPass, RemoveInitializersFromInputsPass

from spectral_engine import machine
from spectral_engine.errors import ModelInvalid, ModelTooLarge, UnsupportedOperator
from spectral_engine.onnx_io.bodies import lift_weights
from spectral_engine.onnx_io.external import (
    check_external,
    external_files,
    map_external,
    refuse_external,
)
from spectral_engine.onnx_io.free_sizes import free_negative_sizes
from spectral_engine.onnx_io.function_growth import refuse_grown_functions
from spectral_engine.onnx_io.hidden_answers import keep_hidden
from spectral_engine.onnx_io.map_types import keep_types, map_types_apart, refuse_map_inputs
from spectral_engine.onnx_io.message_count import refuse_many_fields
from spectral_engine.onnx_io.nodes import keep_names
from spectral_engine.onnx_io.operator_support import refuse_unknown
from spectral_engine.onnx_io.quantized import every_node, refuse_quantized
from spectral_engine.onnx_io.soundness import check_sound, check_text
from spectral_engine.onnx_io.tensors import check_tensors
from spectral_engine.onnx_io.value_growth import GrowthLimits, refuse_grown_values
from spectral_engine.onnx_io.weights_apart import Views, put_back, split_weights

OLDEST_OPSET = 7
MADE_TIMES_FILE = 4
# What readers of graphs raise where a file contradicts itself.
MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError)
# From here on initializers need not be graph inputs as well.
FREE_INITIALIZERS_IR_VERSION = 4


@dataclass(frozen=True)
class Limits:
    """How large a model may be.

    `max_value_bytes` is for one
    value at one row, and `max_made_bytes` for all that nodes make of constants, or `MADE_TIMES_FILE` times the bytes
    of the model where that is more. Of both no more than a share of the memory that there is.
    """

    max_bytes: int = 2 * 2**30
    max_nodes: int = 100_000
    max_elements: int = 2**31
    max_external_bytes: int = 16 * 2**30
    max_value_bytes: int = 4 * 2**30
    max_made_bytes: int = 2**30

    def growth(self, model_bytes: int) -> GrowthLimits:
        """Return what values may take on this machine, for a model of so many bytes."""
        share = machine.memory_bytes() // 4
        made = max(min(self.max_made_bytes, share), MADE_TIMES_FILE * model_bytes)
        return GrowthLimits(min(self.max_value_bytes, share), made)


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Loaded:
    """A checked model, the files beside it that hold its external data, and whether its large weights are mapped."""

    model: ir.Model
    external: frozenset[Path]
    mapped: bool = False


def load_model(source: str | Path | bytes, limits: Limits = DEFAULT_LIMITS) -> ir.Model:
    """Parse and check a model, as `load_whole` does, and return its graph."""
    return load_whole(source, limits).model


def load_mapped(source: Path | bytes, limits: Limits = DEFAULT_LIMITS) -> Loaded:
    """Parse and check a model as `load_whole` does, with its large weights left where they are.

    The file must stay as it is while the graph is in use. A file in which weights are no plain arrays is read whole.
    """
    check_size(source, limits)
    apart = split_weights(source)
    if apart is None or not apart[1]:
        return load_whole(source, limits)
    rest, views = apart
    folder = None if isinstance(source, bytes) else source.parent
    loaded = _checked(parse_model(rest, limits), folder, limits, views)
    if not put_back(loaded.model, views):
        return load_whole(source, limits)
    return replace(loaded, mapped=True)


def load_whole(source: str | Path | bytes, limits: Limits = DEFAULT_LIMITS) -> Loaded:
    """Parse and check a model.

    Model-local functions are inlined, Constant nodes become initializers, and initializers that old files list as
    inputs are initializers alone; weights in bodies of If become the graph's own. External data stay in their files,
    beside the model, and are mapped.
    Raises ModelInvalid, ModelTooLarge or UnsupportedOperator.
    """
    folder = None if isinstance(source, bytes) else Path(source).parent
    return _checked(parse_model(source, limits), folder, limits)


def _checked(
    proto: onnx.ModelProto, folder: Path | None, limits: Limits, apart: Views | None = None
) -> Loaded:
    external: frozenset[Path] = frozenset()
    check_text(proto)
    _check_size(proto, limits)
    refuse_grown_functions(proto, limits.max_nodes, limits.max_bytes)
    refuse_quantized(proto)
    _check_opset(proto)
    refuse_unknown(proto)
    if folder is None:
        refuse_external(proto)
    else:
        check_external(proto, folder, limits.max_external_bytes)
        external = frozenset(external_files(proto, folder))
    check_sound(proto)
    check_tensors(proto)
    refuse_map_inputs(proto)
    proto = _with_functions_inlined(proto)
    _refuse_growth(proto, limits, apart or {})
    model = _to_ir(proto)
    if folder is not None:
        map_external(model, folder)
    keep_names(model)
    model.ir_version = max(model.ir_version, FREE_INITIALIZERS_IR_VERSION)
    return Loaded(model, external)


def _with_functions_inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return inline_local_functions(proto) if proto.functions else proto
    except MALFORMED as error:
        raise _unreadable(error) from error


def _refuse_growth(proto: onnx.ModelProto, limits: Limits, apart: Views) -> None:
    shapes = {name: (int(view.dtype), list(view.shape.numpy())) for name, view in apart.items()}
    stored = sum(_stored_bytes(tensor) for tensor in proto.graph.initializer)
    stored += sum(view.nbytes for view in apart.values())
    refuse_grown_values(proto, shapes, limits.growth(stored))


def _stored_bytes(tensor: onnx.TensorProto) -> int:
    if not tensor.external_data:
        return int(tensor.ByteSize())
    return int(prod(tensor.dims) * ir.DataType(tensor.data_type).bitwidth // 8)


def _unreadable(error: Exception) -> ModelInvalid:
    reason = error.__cause__ or error
    return ModelInvalid(f"the graph cannot be read: {' '.join(str(reason).split())}")


def _to_ir(proto: onnx.ModelProto) -> ir.Model:
    try:
        with map_types_apart(proto) as types:
            model = ir.from_proto(proto)
        keep_types(model, types)
        free_negative_sizes(model)
        keep_hidden(model, proto.graph)
        LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        RemoveInitializersFromInputsPass()(model)
        lift_weights(model)
    except (ir.serde.SerdeError, ir.passes.PassError, *MALFORMED) as error:
        raise _unreadable(error) from error
    return model


def parse_model(source: str | Path | bytes, limits: Limits = DEFAULT_LIMITS) -> onnx.ModelProto:
    """Decode a model file, without its external data. Raises ModelInvalid, ModelTooLarge."""
    check_size(source, limits)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        refuse_many_fields(data)
        return onnx.load_from_string(data)
    except DecodeError as error:
        raise ModelInvalid("the file is not an ONNX model: it cannot be decoded") from error
    except OSError as error:
        raise ModelInvalid(f"the model file cannot be read: {error}") from error


def check_size(source: str | Path | bytes, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse a file that is empty or larger than is allowed. Raises ModelInvalid, ModelTooLarge."""
    size = len(source) if isinstance(source, bytes) else _file_size(Path(source))
    if size == 0:
        raise ModelInvalid("the model file is empty")
    if size > limits.max_bytes:
        raise ModelTooLarge(
            f"the model has {size:,} bytes; at most {limits.max_bytes:,} are allowed"
        )


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ModelInvalid(f"the model file cannot be read: {error}") from error


def _check_size(proto: onnx.ModelProto, limits: Limits) -> None:
    if proto.ir_version == 0 or not proto.graph.node or not proto.graph.output:
        raise ModelInvalid("the file holds no ONNX graph: no version, no nodes or no outputs")
    nodes = sum(1 for _ in every_node(proto.graph.node))
    if nodes > limits.max_nodes:
        raise ModelTooLarge(
            f"the graph has {nodes:,} nodes; at most {limits.max_nodes:,} are allowed"
        )
    for tensor in proto.graph.initializer:
        elements = 1
        for dim in tensor.dims:
            if dim < 0:
                raise ModelInvalid(f"initializer {tensor.name!r} has a negative dimension")
            elements *= dim
        if elements > limits.max_elements:
            raise ModelTooLarge(f"initializer {tensor.name!r} declares {elements:,} elements")


def _check_opset(proto: onnx.ModelProto) -> None:
    for opset in proto.opset_import:
        if opset.domain in {"", "ai.onnx"} and opset.version < OLDEST_OPSET:
            raise UnsupportedOperator(
                f"the model uses opset {opset.version}; {OLDEST_OPSET} and later are supported"
            )
