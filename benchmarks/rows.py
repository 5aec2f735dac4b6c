"""Rows of figures: one JSON object a line, written as they come, so that a stopped run resumes."""

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "rows"
PACKAGES = ("torch", "onnx", "onnxruntime", "numpy")


def append(name: str, row: dict[str, Any]) -> None:
    """Add a row with when and with what it was measured."""
    FOLDER.mkdir(exist_ok=True)
    stamp = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
    with (FOLDER / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(row | stamp) + "\n")


def read(name: str) -> list[dict[str, Any]]:
    """Return the rows of one benchmark, oldest first."""
    path = FOLDER / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
