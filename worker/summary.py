"""What the records are to say of a finished compression, and where its files lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from worker.messages import Compressed, FinalCandidate, Measured
from worker.reports import REPORTS

if TYPE_CHECKING:
    from spectral_engine.records.report import Measurement, Report
    from spectral_engine.result import Candidate, Result


def summarize(result: Result, folder: Path) -> Compressed:
    """Write the reports into `folder`; return the rest."""
    for name in REPORTS:
        result.report.save(folder / name)
    report = result.report.data
    return Compressed(
        outcome=report.outcome,
        outcome_reason=report.outcome_reason,
        binding_constraint=report.binding_constraint,
        metric_name=_metric_name(report),
        baseline=_measured(report.baseline),
        candidates=tuple(map(_final, result.candidates)),
    )


def _metric_name(report: Report) -> str:
    """Return the name of the metric in which the report speaks."""
    measured = [report.baseline, *(entry.measurement for entry in report.candidates)]
    names = [one.metric.name for one in measured if one.metric is not None]
    return names[0] if names else "metric"


def _final(candidate: Candidate) -> FinalCandidate:
    entry = candidate.entry
    return FinalCandidate(
        path=candidate.path,
        external=tuple(candidate.external),
        measured=_measured(entry.measurement),
        validation_drop=entry.validation_drop,
        drop=None if entry.drop is None else entry.drop.value,
        chosen=entry.chosen,
    )


def _measured(measurement: Measurement) -> Measured:
    return Measured(
        nodes=measurement.nodes,
        params=measurement.params,
        macs=measurement.macs,
        file_bytes=measurement.file_bytes,
        validation_metric=measurement.validation_metric,
        metric=None if measurement.metric is None else measurement.metric.value,
    )
