"""What the candidate endpoints do."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from service.api.context import Context
from service.api.jobs.service import no_result, require
from service.api.schemas import timestamp
from service.errors import NotFound
from service.store.candidates.records import CandidateRecord
from service.store.candidates.repository import CandidateRepository
from service.store.ids import is_id
from service.store.models.repository import ModelRepository


def page(context: Context, job_id: str) -> dict[str, Any]:
    """Return all candidates of a job so far."""
    with context.database.read() as session:
        require(session, job_id)
        data = [show(row) for row in CandidateRepository(session).list(job_id)]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": False,
    }


def get(context: Context, job_id: str, candidate_id: str) -> CandidateRecord:
    """Return one candidate of a job. Raises NotFound, also for one of another job."""
    with context.database.read() as session:
        require(session, job_id)
        known = is_id(candidate_id, "cand_")
        candidate = CandidateRepository(session).get(candidate_id) if known else None
        if candidate is None or candidate.job_id != job_id:
            raise NotFound(f"{job_id} has no candidate {candidate_id!r}.")
        return candidate


def chosen(context: Context, job_id: str) -> tuple[CandidateRecord, str]:
    """Return the chosen candidate and a file name for it.

    Raises ResultNotReady while the job is at work, NotFound when it ended without a result.
    """
    with context.database.read() as session:
        job = require(session, job_id)
        chosen_id = job.chosen_candidate_id
        candidate = CandidateRepository(session).get(chosen_id) if chosen_id else None
        if candidate is None:
            raise no_result(job, "model")
        model = ModelRepository(session).get(job.model_id)
        name = PurePath((model and (model.file_name or model.name)) or "model.onnx").stem
        return candidate, f"{name}-eigenpress.onnx"


def show(candidate: CandidateRecord) -> dict[str, Any]:
    """Return the candidate as `service.api.candidates.schemas.Candidate` documents it."""
    link = f"/v1/jobs/{candidate.job_id}/candidates/{candidate.id}/model"
    return {
        "id": candidate.id,
        "object": "candidate",
        "job": candidate.job_id,
        "index": candidate.index,
        "sha256": candidate.sha256,
        "size_bytes": candidate.size_bytes,
        "external": candidate.external,
        "nodes": candidate.nodes,
        "params": candidate.params,
        "macs": candidate.macs,
        "metrics": candidate.metrics or {},
        "chosen": candidate.chosen,
        "created_at": timestamp(candidate.created_at),
        "links": {"model": link},
    }
