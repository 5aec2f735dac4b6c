"""Eigenpress's engine: spectral retraining and node removal for ONNX models.

>>> import spectral_engine as se
>>> result = se.compress("model.onnx", "data.npz", {"target": {"max_metric_drop": 0.01}})  # doctest: +SKIP

Importing this package is light; torch is loaded when something is first used that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectral_engine.analysis import analyze
    from spectral_engine.compression import compress
    from spectral_engine.data_check import check
    from spectral_engine.errors import EngineError
    from spectral_engine.graph.loading import load
    from spectral_engine.records.progress import Progress
    from spectral_engine.records.recipe import Recipe
    from spectral_engine.result import Candidate, Result

__version__ = "0.1.0"

_HOMES = {
    "Candidate": "spectral_engine.result",
    "EngineError": "spectral_engine.errors",
    "Progress": "spectral_engine.records.progress",
    "Recipe": "spectral_engine.records.recipe",
    "Result": "spectral_engine.result",
    "analyze": "spectral_engine.analysis",
    "check": "spectral_engine.data_check",
    "compress": "spectral_engine.compression",
    "load": "spectral_engine.graph.loading",
}

__all__ = [
    "Candidate",
    "EngineError",
    "Progress",
    "Recipe",
    "Result",
    "__version__",
    "analyze",
    "check",
    "compress",
    "load",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
