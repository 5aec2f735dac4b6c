"""The end of a job that went well: everything under its lease, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from service.store.jobs.repository import JobRepository
from worker.candidates import (
    StoredFile,
    StoredModel,
    final_facts,
    record_candidate,
    store_file,
    store_model,
)
from worker.claims import Claimed, Stores
from worker.messages import Analyzed, Compressed, Done, FinalCandidate, Measured
from worker.reports import REPORTS


@dataclass(frozen=True)
class Chosen:
    """The candidate that is handed back: its record, its files, and what the report says of it."""

    id: str
    model: StoredModel
    candidate: FinalCandidate


def finish(stores: Stores, claimed: Claimed, done: Done, usage: Mapping[str, float]) -> bool:
    """Store what the engine has brought and end the job; False when the lease was lost."""
    if isinstance(done, Analyzed):
        return _finish_analysis(stores, claimed, done, usage)
    return _finish_compression(stores, claimed, done, usage)


def _finish_analysis(
    stores: Stores, claimed: Claimed, done: Analyzed, usage: Mapping[str, float]
) -> bool:
    with stores.database.begin() as session:
        leases = JobRepository(session).leases
        return leases.add_usage(claimed.id, claimed.fence, usage) and leases.finish(
            claimed.id, claimed.fence, "succeeded", result=done.analysis
        )


def _finish_compression(
    stores: Stores, claimed: Claimed, done: Compressed, usage: Mapping[str, float]
) -> bool:
    # Artifacts first: under their digests they do no harm if the lease turns out to be lost.
    output = claimed.workspace.output
    artifacts = stores.artifacts.of(claimed.job.tenant)
    models = [store_model(artifacts, one) for one in done.candidates]
    reports = {name: store_file(artifacts, output / name, name) for name in REPORTS}
    with stores.database.begin() as session:
        leases = JobRepository(session).leases
        if not leases.add_usage(claimed.id, claimed.fence, usage):
            return False
        chosen = _record(session, claimed.id, done, models)
        return leases.finish(
            claimed.id,
            claimed.fence,
            "succeeded",
            status_reason=done.outcome_reason,
            outcome=done.outcome,
            result=_result(chosen, done, list(reports.values())),
            chosen_candidate_id=chosen.id,
            report_json_sha256=reports["report.json"].sha256,
            report_html_sha256=reports["report.html"].sha256,
            report_csv_sha256=reports["report.csv"].sha256,
        )


def _record(
    session: Session, job_id: str, done: Compressed, models: Sequence[StoredModel]
) -> Chosen:
    """Record every candidate; return the chosen one."""
    chosen: Chosen | None = None
    for index, (candidate, model) in enumerate(zip(done.candidates, models, strict=True)):
        facts = final_facts(candidate, done.metric_name)
        record = record_candidate(session, job_id, index, model, facts)
        if candidate.chosen:
            chosen = Chosen(record.id, model, candidate)
    if chosen is None:
        raise ValueError("the engine has chosen no candidate")
    return chosen


def _result(chosen: Chosen, done: Compressed, reports: Sequence[StoredFile]) -> dict[str, Any]:
    """Return the result as the job's row keeps it."""
    baseline = _numbers(done.baseline, done.metric_name)
    compressed = _numbers(chosen.candidate.measured, done.metric_name)
    delta = {
        name: compressed[name] - before for name, before in baseline.items() if name in compressed
    }
    files = [chosen.model.file, *chosen.model.external, *reports]
    return {
        "candidate": chosen.id,
        "outcome_reason": done.outcome_reason,
        "binding_constraint": done.binding_constraint,
        "metrics": {"baseline": baseline, "compressed": compressed, "delta": delta},
        "artifacts": [asdict(file) for file in files],
    }


def _numbers(measured: Measured, name: str) -> dict[str, float]:
    """Return what was measured, by name; what is no number is left out."""
    numbers: dict[str, float | None] = {
        "nodes": measured.nodes,
        "params": measured.params,
        "macs": measured.macs,
        "file_bytes": measured.file_bytes,
        f"validation_{name}": measured.validation_metric,
        name: measured.metric,
    }
    return {key: value for key, value in numbers.items() if value is not None}
