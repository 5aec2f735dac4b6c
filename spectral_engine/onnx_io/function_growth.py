"""Local functions: how many nodes and bytes they are once each call is written out, reckoned before any is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from spectral_engine.errors import ModelInvalid, ModelTooLarge
from spectral_engine.onnx_io.quantized import every_node

MOST_NESTED = 64  # calls within calls

Key = tuple[str, str, str]  # domain, name, overload


@dataclass(frozen=True)
class Size:
    """What is written out: nodes, their bytes, and how deep calls lie within calls."""

    nodes: int = 0
    bytes: int = 0
    depth: int = 0


def refuse_grown_functions(proto: onnx.ModelProto, most_nodes: int, most_bytes: int) -> None:
    """Refuse functions that call themselves, or that grow over a limit where they are written out.

    Raises ModelInvalid, ModelTooLarge.
    """
    functions = {_key(one.domain, one.name, one.overload): one for one in proto.functions}
    sizes: dict[Key, Size] = {}
    for key in functions:
        _reckon(key, functions, sizes)
    written = _total(proto.graph.node, sizes)
    if written.depth > MOST_NESTED:
        raise ModelTooLarge(
            f"functions call each other {written.depth} deep; at most {MOST_NESTED} are allowed"
        )
    if written.nodes > most_nodes:
        raise ModelTooLarge(
            f"with its functions written out the graph has {written.nodes:,} nodes; at most {most_nodes:,} are allowed"
        )
    if functions and written.bytes > most_bytes:
        raise ModelTooLarge(
            f"with its functions written out the graph has {written.bytes:,} bytes; at most {most_bytes:,} are allowed"
        )


def _reckon(first: Key, functions: dict[Key, onnx.FunctionProto], sizes: dict[Key, Size]) -> None:
    """Reckon a function, those that it calls before it: without recursion, which a file could make any depth."""
    path = [first]
    while path:
        key = path[-1]
        called = [_called(node) for node in every_node(functions[key].node)]
        missing = next((one for one in called if one in functions and one not in sizes), None)
        if missing is None:
            sizes[key] = _total(functions[key].node, sizes)
            path.pop()
        elif missing in path:
            raise ModelInvalid(f"function {missing[1]!r} calls itself")
        else:
            path.append(missing)


def _total(nodes: Iterable[onnx.NodeProto], sizes: dict[Key, Size]) -> Size:
    count = grown = depth = 0
    for node in every_node(nodes):
        inner = sizes.get(_called(node))
        count += 1 if inner is None else inner.nodes
        grown += node.ByteSize() if inner is None else inner.bytes
        depth = max(depth, 0 if inner is None else 1 + inner.depth)
    return Size(count, grown, depth)


def _called(node: onnx.NodeProto) -> Key:
    return _key(node.domain, node.op_type, node.overload)


def _key(domain: str, name: str, overload: str) -> Key:
    return ("" if domain == "ai.onnx" else domain), name, overload
