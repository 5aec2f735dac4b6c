"""Operators of classical machine learning (`ai.onnx.ml`): what scikit-learn's pipelines put before and behind a net."""

from __future__ import annotations

import torch
from torch import Tensor

from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def scaler(node: Node, mode: Mode) -> Function:
    """(x − offset) · scale, by feature or the same for all."""
    offset = torch.tensor(node.get("offset", [0.0]), dtype=torch.float32)
    scale = torch.tensor(node.get("scale", [1.0]), dtype=torch.float32)
    return lambda x: (x.float() - offset.to(x.device)) * scale.to(x.device)


def normalizer(node: Node, mode: Mode) -> Function:
    """Each row divided by its largest entry, its sum or its length; a row where that is 0 stays as it is."""
    kind = node.get("norm", "MAX")
    if kind not in {"MAX", "L1", "L2"}:
        raise node.unsupported(f"norm {kind!r} is not known")

    def function(x: Tensor) -> Tensor:
        x = x.float()
        if kind == "MAX":
            size = x.amax(-1, keepdim=True)
        else:
            size = torch.linalg.vector_norm(x, 1 if kind == "L1" else 2, dim=-1, keepdim=True)
        return x / torch.where(size == 0, 1.0, size)

    return function


def imputer(node: Node, mode: Mode) -> Function:
    """What is missing, by its stand-in: a number, or NaN."""
    whole = "imputed_value_int64s" in node.attributes
    kind, dtype = ("int64", torch.int64) if whole else ("float", torch.float32)
    missing = node.get(f"replaced_value_{kind}", 0)
    values = torch.tensor(node.get(f"imputed_value_{kind}s", [0]), dtype=dtype)

    def function(x: Tensor) -> Tensor:
        is_missing = torch.isnan(x) if missing != missing else x == missing  # noqa: PLR0124  # a NaN is not itself
        return torch.where(is_missing, values.to(x.device, x.dtype), x)

    return function


def binarizer(node: Node, mode: Mode) -> Function:
    """1 above a threshold, else 0."""
    threshold = node.get("threshold", 0.0)
    return lambda x: (x > threshold).to(x.dtype)


def array_feature_extractor(node: Node, mode: Mode) -> Function:
    """Entries of the last axis by index; a single row of entries counts as a table of one."""

    def function(x: Tensor, indices: Tensor) -> Tensor:
        table = x.reshape(1, -1) if x.dim() == 1 else x
        return table.index_select(-1, indices.flatten().to(x.device))

    return function


def one_hot_encoder(node: Node, mode: Mode) -> Function:
    """A new last axis with a 1 at the category of each entry; all 0 for what is none of them."""
    if "cats_int64s" not in node.attributes:
        raise node.unsupported("it encodes text: export the model from where the text is encoded")
    if not node.get("zeros", 1):
        raise node.unsupported(
            "zeros=0 fails on unknown categories: export it so that it ignores them"
        )
    categories = torch.tensor(node.attributes["cats_int64s"])

    def function(x: Tensor) -> Tensor:
        return (x.long().unsqueeze(-1) == categories.to(x.device)).float()

    return function


def feature_vectorizer(node: Node, mode: Mode) -> Function:
    """All features of a row after one another."""
    return lambda *parts: torch.cat([part.float().reshape(len(part), -1) for part in parts], 1)


register(
    {
        "Scaler": OperatorSpec(scaler),
        "Normalizer": OperatorSpec(normalizer),
        "Imputer": OperatorSpec(imputer),
        "Binarizer": OperatorSpec(binarizer),
        "ArrayFeatureExtractor": OperatorSpec(array_feature_extractor),
        "OneHotEncoder": OperatorSpec(one_hot_encoder),
        "FeatureVectorizer": OperatorSpec(feature_vectorizer),
    },
    domain="ai.onnx.ml",
)
