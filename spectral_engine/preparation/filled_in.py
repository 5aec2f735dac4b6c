"""Which inputs of a model may hold NaN: those of which the model itself puts something in its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isnan

from spectral_engine.data.spec import InputSpec
from spectral_engine.onnx_io.node import Node


def told_what_is_filled_in(inputs: Sequence[InputSpec], nodes: Iterable[Node]) -> list[InputSpec]:
    """Return inputs marked where nothing but an Imputer of NaN reads them."""
    readers: dict[str, list[Node]] = {spec.name: [] for spec in inputs}
    for node in nodes:
        for name in node.inputs:
            if name in readers:
                readers[name].append(node)
    return [
        replace(spec, fills_in=bool(readers[spec.name]) and all(map(_fills_in, readers[spec.name])))
        for spec in inputs
    ]


def _fills_in(node: Node) -> bool:
    return node.op_type == "Imputer" and isnan(node.get("replaced_value_float", 0.0))
