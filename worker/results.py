"""The end of a job that went well: everything under its lease, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from service.store.jobs.repository import JobRepository
from worker.candidates import final_values, record_candidate, store_files
from worker.child import REPORTS
from worker.claims import Claimed, Stores

File = tuple[str, int]  # SHA-256, bytes


def finish(
    stores: Stores, claimed: Claimed, summary: dict[str, Any], usage: Mapping[str, float]
) -> bool:
    """Store what the engine has brought and end the job; False when the lease was lost."""
    if claimed.job.kind == "analysis":
        return _finish_analysis(stores, claimed, summary, usage)
    return _finish_compression(stores, claimed, summary, usage)


def _finish_analysis(
    stores: Stores, claimed: Claimed, analysis: dict[str, Any], usage: Mapping[str, float]
) -> bool:
    with stores.database.begin() as session:
        jobs = JobRepository(session)
        return jobs.add_usage(claimed.id, claimed.fence, usage) and jobs.finish(
            claimed.id, claimed.fence, "succeeded", result=analysis
        )


def _finish_compression(
    stores: Stores, claimed: Claimed, summary: dict[str, Any], usage: Mapping[str, float]
) -> bool:
    # Artifacts first: under their digests they do no harm if the lease turns out to be lost.
    output = claimed.workspace.output
    models = [store_files(stores.artifacts, files) for files in summary["files"]]
    reports = {name: stores.artifacts.put_file(output / name) for name in REPORTS}
    with stores.database.begin() as session:
        jobs = JobRepository(session)
        if not jobs.add_usage(claimed.id, claimed.fence, usage):
            return False
        chosen, entry = _record(session, claimed.id, summary, models)
        return jobs.finish(
            claimed.id,
            claimed.fence,
            "succeeded",
            status_reason=summary["outcome_reason"],
            outcome=summary["outcome"],
            result=_result(chosen, entry, summary, reports),
            chosen_candidate_id=chosen["id"],
            report_json_sha256=reports["report.json"][0],
            report_html_sha256=reports["report.html"][0],
            report_csv_sha256=reports["report.csv"][0],
        )


def _record(
    session: Session, job_id: str, summary: dict[str, Any], models: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Record every candidate; return the chosen one's files, and its entry in the report."""
    found: tuple[dict[str, Any], dict[str, Any]] | None = None
    for index, (entry, files) in enumerate(zip(summary["candidates"], models, strict=True)):
        values = final_values(entry, metric_name(summary))
        record = record_candidate(session, job_id, index, **files, **values)
        if entry["chosen"]:
            found = {"id": record.id, **files}, entry
    if found is None:
        raise ValueError("the engine has chosen no candidate")
    return found


def metric_name(summary: dict[str, Any]) -> str:
    """Return the name of the metric in which the report speaks."""
    measured = [summary["baseline"], *(entry["measurement"] for entry in summary["candidates"])]
    names = [one["metric"]["name"] for one in measured if one["metric"] is not None]
    return str(names[0]) if names else "metric"


def _result(
    chosen: dict[str, Any],
    entry: dict[str, Any],
    summary: dict[str, Any],
    reports: dict[str, File],
) -> dict[str, Any]:
    name = metric_name(summary)
    baseline = _numbers(summary["baseline"], name)
    compressed = _numbers(entry["measurement"], name)
    delta = {key: compressed[key] - baseline[key] for key in baseline if key in compressed}
    files = [
        {"name": name, "sha256": file[0], "size_bytes": file[1]} for name, file in reports.items()
    ]
    return {
        "candidate": chosen["id"],
        "outcome_reason": summary["outcome_reason"],
        "binding_constraint": summary["binding_constraint"],
        "metrics": {"baseline": baseline, "compressed": compressed, "delta": delta},
        "artifacts": [
            {"name": "model.onnx", **{key: chosen[key] for key in ("sha256", "size_bytes")}},
            *chosen["external"],
            *files,
        ],
    }


def _numbers(measurement: dict[str, Any], name: str) -> dict[str, float]:
    numbers = {key: measurement[key] for key in ("nodes", "params", "macs", "file_bytes")}
    numbers[f"validation_{name}"] = measurement["validation_metric"]
    if measurement["metric"] is not None:
        numbers[name] = measurement["metric"]["value"]
    return numbers
