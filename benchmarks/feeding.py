"""What a session takes, and whether it runs on it: for programs that look for inputs of files they do not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Feed = dict[str, NDArray[Any]]
TYPES = {"float": "float32", "double": "float64"}


def dtype_of(value: Any) -> np.dtype[Any]:
    """Return the type of numbers that an input of a session takes."""
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    return np.dtype(TYPES.get(kind, kind))


def runs(session: onnxruntime.InferenceSession, feed: Mapping[str, NDArray[Any]]) -> bool:
    """Say whether a model runs on these inputs, and answers something."""
    try:
        answers = session.run(None, dict(feed))
    except Exception:  # onnxruntime has many: at these shapes the model does not run
        return False
    return all(answer.size for answer in answers if isinstance(answer, np.ndarray))
