"""Names of classes that a model file carries itself: in its metadata, or in the nodes that turn numbers into labels."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from typing import Any

import onnx_ir as ir

KEYS = {
    "names",
    "classes",
    "classes_",
    "class_names",
    "classnames",
    "labels",
    "label_names",
    "categories",
    "id2label",
    "idx_to_class",
    "class_to_idx",
    "label2id",
}
LABEL_ATTRIBUTES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
LOOK_UPS = ("ArrayFeatureExtractor", "Gather")
LONGEST = 200_000  # characters of one entry that are looked at


def names_in_model(model: ir.Model) -> list[list[str]]:
    """Return the lists of class names that the file holds, each in the order of the model's outputs."""
    lists = [
        names for key, text in model.metadata_props.items() for names in _in_metadata(key, text)
    ]
    for node in model.graph:
        for name in LABEL_ATTRIBUTES:
            attribute = node.attributes.get(name)
            if attribute is not None:
                lists.append([_text(value) for value in attribute.value])
        lists += _looked_up(node)
    return lists


def _looked_up(node: ir.Node) -> Iterator[list[str]]:
    """Yield the list in which a node looks up the name of a class by its place: texts, or the numbers of classes."""
    table = node.inputs[0].const_value if node.op_type in LOOK_UPS and node.inputs[0] else None
    if table is None or len(table.shape) != 1 or table.dtype.is_floating_point():
        return
    if table.dtype == ir.DataType.STRING or node.op_type == "ArrayFeatureExtractor":
        yield [_text(value) for value in table.numpy().tolist()]


def _in_metadata(key: str, text: str) -> Iterator[list[str]]:
    """Yield the lists of names that an entry holds, itself or one level below."""
    value = _parsed(text[:LONGEST])
    if key.lower().rsplit(".", 1)[-1] in KEYS and (listed := _names(value)):
        yield listed
    if isinstance(value, Mapping):
        for inner_key, inner_value in value.items():
            if str(inner_key).lower() in KEYS and (listed := _names(inner_value)):
                yield listed


def _parsed(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    parts = [part.strip() for part in text.replace("\n", ",").split(",")]
    return [part for part in parts if part]


def _names(value: Any) -> list[str] | None:
    if isinstance(value, list | tuple):
        return [_text(item) for item in value]
    if not isinstance(value, Mapping):
        return None
    turned = {_number(k): _text(v) for k, v in value.items()}
    if None in turned:  # from names to numbers
        turned = {_number(v): _text(k) for k, v in value.items()}
    if sorted(turned, key=lambda k: -1 if k is None else k) != list(range(len(value))):
        return None
    return [turned[index] for index in range(len(value))]


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
