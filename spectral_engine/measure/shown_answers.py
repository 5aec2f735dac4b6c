"""Models whose outputs tell nothing that can be judged, opened with the float tensors behind these as outputs too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from onnx.inliner import inline_local_functions

from spectral_engine.onnx_io.hidden_answers import hidden_answers
from spectral_engine.onnx_io.load import parse_model

if TYPE_CHECKING:
    import onnxruntime

FLOATS = {"tensor(float)", "tensor(double)", "tensor(float16)", "tensor(bfloat16)"}


def with_answers_shown(
    model: bytes | str | Path, session: onnxruntime.InferenceSession
) -> bytes | None:
    """Return the model's bytes with its hidden answers as first outputs; None where it has none.

    External data stay where they are: whoever opens the bytes says in which folder that is.
    """
    if _answers_openly(session):
        return None
    proto = parse_model(model)
    if proto.functions:
        proto = inline_local_functions(proto)
    hidden = hidden_answers(proto.graph)
    if not hidden:
        return None
    declared = [onnx.ValueInfoProto(name=name) for name in hidden]  # runtimes work out their types
    declared += proto.graph.output
    del proto.graph.output[:]
    proto.graph.output.extend(declared)
    return bytes(proto.SerializeToString())


def _answers_openly(session: onnxruntime.InferenceSession) -> bool:
    """Tell by types and shapes alone that an output can be judged: several floats a row, or nothing beside it."""
    outputs = session.get_outputs()
    floats = [value.shape for value in outputs if value.type in FLOATS]
    alone = len(floats) == len(outputs) == 1 and len(floats[0]) > 0
    # Whole numbers laid out as floats are: the places of the largest entries, which are given in their order.
    places = [value.shape for value in outputs if value.type not in FLOATS]
    several = (shape for shape in floats if shape[1:] != [1] * len(shape[1:]))
    return alone or any(shape not in places for shape in several)
