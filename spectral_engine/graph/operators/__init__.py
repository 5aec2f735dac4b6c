"""ONNX operators: one file per family, torch function and coupling rule side by side."""

from spectral_engine.graph.operators import (
    activation,
    convolution,
    elementwise,
    linear,
    normalization,
    pooling,
    reduction,
    shape,
)
from spectral_engine.graph.operators.registry import (
    Mode,
    coupling,
    find_build,
    find_rule,
    operator,
    supported_operators,
)

__all__ = [
    "Mode",
    "activation",
    "convolution",
    "coupling",
    "elementwise",
    "find_build",
    "find_rule",
    "linear",
    "normalization",
    "operator",
    "pooling",
    "reduction",
    "shape",
    "supported_operators",
]
