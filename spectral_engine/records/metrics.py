"""The metrics by name, and what is known of each without computing it."""

from __future__ import annotations

from typing import Literal

from spectral_engine.records.labels import Task

Metric = Literal[
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "top5",
    "auc",
    "log_loss",
    "miou",
    "dice",
    "map",
    "map50",
    "cer",
    "mse",
    "mae",
    "mape",
    "quantile_loss",
    "r2",
    "spearman",
    "agreement",
    "rank_agreement",
]

HIGHER_IS_BETTER: dict[Metric, bool] = {
    "accuracy": True,
    "balanced_accuracy": True,
    "f1_macro": True,
    "top5": True,
    "auc": True,
    "log_loss": False,
    "miou": True,
    "dice": True,
    "map": True,
    "map50": True,
    "cer": False,
    "mse": False,
    "mae": False,
    "mape": False,
    "quantile_loss": False,
    "r2": True,
    "spearman": True,
    "agreement": True,
    "rank_agreement": True,
}


IN_OWN_UNITS: set[Metric] = {"log_loss", "mse", "mae", "quantile_loss"}
# Metrics that only one task has: to ask for one says what the labels are.
TASK_OF_METRIC: dict[Metric, Task] = {
    "map": "detection",
    "map50": "detection",
    "cer": "ctc",
    "spearman": "similarity",
}
