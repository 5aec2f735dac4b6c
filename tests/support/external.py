"""A small model whose weights lie in a file of their own."""

from __future__ import annotations

from pathlib import Path

import onnx

from tests.support.digits import trained


def save_external(path: Path) -> Path:
    """Write the trained perceptron, and its weights into `NAME.data` beside it."""
    onnx.save(
        onnx.load_from_string(trained()),
        path,
        save_as_external_data=True,
        location=path.with_suffix(".data").name,
        size_threshold=64,
    )
    return path
