"""The relevance table as CSV."""

from __future__ import annotations

import csv
import io

from spectral_engine.records.report import Report

COLUMNS = ("layer", "index", "eigenvalue", "relevance", "kept", "removed_at_step")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def relevance_csv(report: Report) -> str:
    """Return one line per node, by its original index."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for node in report.relevance:
        step = "" if node.removed_at_step is None else node.removed_at_step
        writer.writerow(
            [_inert(node.layer), node.index, node.eigenvalue, node.relevance, node.kept, step]
        )
    return text.getvalue()


def _inert(name: str) -> str:
    """Keep a spreadsheet from reading a layer's name as a formula."""
    return f"'{name}" if name.startswith(FORMULA_STARTS) else name
