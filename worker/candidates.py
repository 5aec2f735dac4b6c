"""Candidates on their way into the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from service.store.artifacts.blobs import ArtifactStore
from service.store.candidates.records import CandidateRecord
from service.store.candidates.repository import CandidateRepository
from service.store.events.repository import EventRepository


def store_files(artifacts: ArtifactStore, candidate: dict[str, Any]) -> dict[str, Any]:
    """Store a candidate's file and those of its external data; return what its record says of them."""
    sha256, size_bytes = artifacts.put_file(Path(candidate["path"]))
    external = []
    for path in map(Path, candidate["external"]):
        digest, size = artifacts.put_file(path)
        external.append({"name": path.name, "sha256": digest, "size_bytes": size})
    return {"sha256": sha256, "size_bytes": size_bytes, "external": external}


def record_candidate(session: Session, job_id: str, index: int, **values: Any) -> CandidateRecord:
    """Record a candidate and announce it, unless an earlier attempt has announced the same one."""
    candidates = CandidateRepository(session)
    earlier = candidates.at(job_id, index)
    known = earlier is not None and earlier.sha256 == values["sha256"]
    record = candidates.add(job_id=job_id, index=index, **values)
    if not known:
        data = {
            "candidate": record.id,
            "index": index,
            "nodes": record.nodes,
            "params": record.params,
            "macs": record.macs,
            "metrics": record.metrics,
        }
        message = f"candidate {index + 1}: {record.nodes} nodes, {record.params} parameters"
        EventRepository(session).append(job_id, "job.candidate_created", "info", message, data)
    return record


def announced_values(candidate: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a candidate when the engine announces it."""
    metrics = {f"validation_{candidate['metric_name']}": candidate["validation_metric"]}
    sizes = {key: candidate[key] for key in ("nodes", "params", "macs")}
    return {**sizes, "metrics": metrics}


def final_values(entry: dict[str, Any], metric_name: str) -> dict[str, Any]:
    """Return what the report says of a candidate."""
    measurement = entry["measurement"]
    metrics = {
        f"validation_{metric_name}": measurement["validation_metric"],
        "validation_drop": entry["validation_drop"],
    }
    if measurement["metric"] is not None:
        metrics[metric_name] = measurement["metric"]["value"]
    if entry["drop"] is not None:
        metrics["drop"] = entry["drop"]["value"]
    sizes = {key: measurement[key] for key in ("nodes", "params", "macs")}
    return {**sizes, "metrics": metrics}
