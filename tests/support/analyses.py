"""An analysis as a worker records it, without the seconds that it takes."""

from __future__ import annotations

from typing import Any

LAYER = {"name": "fc1", "nodes": 8, "removable": 8, "coupled": ["fc1"], "reason": None}
ANALYSIS: dict[str, Any] = {
    "schema_version": "1.0",
    "model_sha256": "0" * 64,
    "opset": 17,
    "graph_nodes": 3,
    "operators": {"Gemm": 2, "Relu": 1},
    "inputs": [{"name": "x", "dtype": "FLOAT", "shape": ["batch", 4]}],
    "outputs": [{"name": "y", "dtype": "FLOAT", "shape": [None, 2]}],
    "layers": [LAYER],
    "untouched": [],
    "now": {"nodes": 8, "params": 58, "macs": 48, "file_bytes": 900},
    "floor": {"nodes": 4, "params": 30, "macs": 24, "file_bytes": 600},
    "estimate": {
        "batch_size": 128,
        "memory_bytes": 4096,
        "timed_rows": 2,
        "seconds_per_epoch_of_1000_rows": 0.1,
    },
    "target": {"feasible": True, "reason": "narrowing can meet it"},
    "data": None,
}

DATA_CHECK: dict[str, Any] = {
    "model_sha256": "0" * 64,
    "data": {
        "sha256": "1" * 64,
        "train_rows": 70,
        "validation_rows": 15,
        "test_rows": 15,
        "split": "random",
    },
    "meaning": {
        "task": "classification",
        "output": "y",
        "reading": "classes",
        "answers": "classes",
        "form": "logits",
    },
    "metric": "accuracy",
    "original": {
        "name": "accuracy",
        "value": 0.9,
        "interval": {"low": 0.8, "high": 0.95, "confidence": 0.95},
        "rows": 15,
        "higher_is_better": True,
    },
}
WITH_DATA = ANALYSIS | {"data": DATA_CHECK}
