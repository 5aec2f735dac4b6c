"""An analysis as a worker records it, without the seconds that it takes."""

from __future__ import annotations

from typing import Any

LAYER = {"name": "fc1", "nodes": 8, "removable": 8, "coupled": ["fc1"], "reason": None}
NOW = {"nodes": 8, "params": 58, "macs": 48, "file_bytes": 900}
PLANNED = {"nodes": 5, "params": 37, "macs": 30, "file_bytes": 816}
WIDTH = {"layer": "fc1", "before": 8, "after": 5, "asked": 4, "coupled": ["fc1"], "reason": None}
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
    "now": NOW,
    "floor": {"nodes": 4, "params": 30, "macs": 24, "file_bytes": 600},
    "estimate": {
        "batch_size": 128,
        "memory_bytes": 4096,
        "timed_rows": 2,
        "seconds_per_epoch_of_1000_rows": 0.1,
    },
    "target": {"feasible": True, "reason": "narrowing can meet it"},
    "plan": {
        "score": "l2",
        "seen": "weights",
        "layers": [WIDTH],
        "before": NOW,
        "after": PLANNED,
        "limits": {"macs": 32.5},
        "statement": "nodes go from 1 of 1 layer, most of all from fc1 (8 to 5); 5 of 8 nodes, 30 of 48 multiply-adds "
        "(32 allowed), 37 of 58 parameters and 816 of 900 bytes of the file stay; rounding to whole blocks moved the "
        "widths of 1 layer; ranked by l2 on the weights alone: training moves the ranks, and the widths of a job may "
        "differ",
    },
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
