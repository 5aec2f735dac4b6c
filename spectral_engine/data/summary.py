"""Three parts, with what the report says of them."""

from __future__ import annotations

from typing import Literal

from spectral_engine.data.split import Split, Splits
from spectral_engine.records.report import DataSummary


def summed_up(
    digest: str,
    parts: list[Split],
    kind: Literal["given", "random"],
    notes: list[str],
    label: str | None,
    feature_names: list[str] | None,
) -> Splits:
    """Return the parts as one data set, with its summary."""
    train, validation, test = parts
    summary = DataSummary(
        sha256=digest,
        train_rows=train.rows,
        validation_rows=validation.rows,
        test_rows=test.rows,
        split=kind,
        label=label,
        notes=notes,
    )
    return Splits(train, validation, test, summary, feature_names)
