"""Candidates on their way into the records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from service.store.artifacts.blobs import ArtifactStore
from service.store.candidates.best import CAREFUL_DROP, DROP, WITHIN_BUDGET
from service.store.candidates.records import CandidateRecord
from service.store.candidates.repository import CandidateRepository
from service.store.events.repository import EventRepository
from worker.messages import AnnouncedCandidate, FinalCandidate


@dataclass(frozen=True)
class StoredFile:
    """A file in the artifact store, under the name by which it is handed out."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class StoredModel:
    """A candidate's ONNX file in the artifact store, and those of its external data."""

    file: StoredFile
    external: tuple[StoredFile, ...]


@dataclass(frozen=True)
class Facts:
    """What the records keep of a candidate besides its files."""

    nodes: int
    params: int
    macs: int
    metrics: dict[str, float | bool | None]


def store_file(artifacts: ArtifactStore, path: Path, name: str) -> StoredFile:
    """Store a file under its digest."""
    return StoredFile(name, *artifacts.put_file(path))


def store_model(
    artifacts: ArtifactStore, candidate: AnnouncedCandidate | FinalCandidate
) -> StoredModel:
    """Store a candidate's file and those of its external data."""
    return StoredModel(
        store_file(artifacts, candidate.path, "model.onnx"),
        tuple(store_file(artifacts, path, path.name) for path in candidate.external),
    )


def record_candidate(
    session: Session, job_id: str, index: int, model: StoredModel, facts: Facts
) -> CandidateRecord:
    """Record a candidate and announce it, unless an earlier attempt has announced the same one."""
    candidates = CandidateRepository(session)
    earlier = candidates.at(job_id, index)
    known = earlier is not None and earlier.sha256 == model.file.sha256
    record = candidates.add(
        job_id=job_id,
        index=index,
        sha256=model.file.sha256,
        size_bytes=model.file.size_bytes,
        external=[asdict(file) for file in model.external],
        **asdict(facts),
    )
    if not known:
        message = f"candidate {index + 1}: {record.nodes} nodes, {record.params} parameters"
        EventRepository(session).append(
            job_id, "job.candidate_created", "info", message, _announcement(record)
        )
    return record


def _announcement(record: CandidateRecord) -> dict[str, Any]:
    return {
        "candidate": record.id,
        "index": record.index,
        "nodes": record.nodes,
        "params": record.params,
        "macs": record.macs,
        "metrics": record.metrics,
    }


def announced_facts(candidate: AnnouncedCandidate) -> Facts:
    """Return what is known of a candidate when the engine announces it."""
    metrics: dict[str, float | bool | None] = {
        f"validation_{candidate.metric_name}": candidate.validation_metric,
        DROP: candidate.validation_drop,
        CAREFUL_DROP: candidate.careful_drop,
        WITHIN_BUDGET: candidate.within_budget,
    }
    return Facts(candidate.nodes, candidate.params, candidate.macs, metrics)


def final_facts(candidate: FinalCandidate, metric_name: str) -> Facts:
    """Return what the report says of a candidate."""
    measured = candidate.measured
    metrics: dict[str, float | bool | None] = {
        f"validation_{metric_name}": measured.validation_metric,
        DROP: candidate.validation_drop,
    }
    if measured.metric is not None:
        metrics[metric_name] = measured.metric
    if candidate.drop is not None:
        metrics["drop"] = candidate.drop
    return Facts(measured.nodes, measured.params, measured.macs, metrics)
