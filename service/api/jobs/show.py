"""A job's row as the API shows it. Written by hand: it is the most read answer of all."""

from __future__ import annotations

from typing import Any

from service.api.problems.render import job_problem
from service.api.schemas import timestamp
from service.store.jobs.records import JobRecord

NO_PROGRESS: dict[str, Any] = {
    "fraction": 0.0,
    "step": None,
    "total_steps": None,
    "eta_seconds": None,
    "metrics": {},
}


def show(job: JobRecord, base_url: str, queue_position: int | None = None) -> dict[str, Any]:
    """Return the job as `service.api.jobs.schemas.Job` documents it."""
    path = f"/v1/jobs/{job.id}"
    return {
        "id": job.id,
        "object": "job",
        "status": job.status,
        "status_reason": job.status_reason,
        "stage": job.stage,
        "outcome": job.outcome,
        "model": job.model_id,
        "dataset": job.dataset_id,
        "recipe": job.recipe,
        "metadata": job.metadata_,
        "priority": job.priority,
        "limits": job.limits,
        "attempt": job.attempt,
        "progress": NO_PROGRESS | (job.progress or {}) | {"queue_position": queue_position},
        "result": job.result,
        "chosen_candidate": job.chosen_candidate_id,
        "error": job_problem(base_url, path, job.error) if job.error else None,
        "usage": job.usage or {},
        "created_at": timestamp(job.created_at),
        "queued_at": timestamp(job.queued_at),
        "started_at": timestamp(job.started_at),
        "finished_at": timestamp(job.finished_at),
        "cancel_requested_at": timestamp(job.cancel_requested_at),
        "links": links(path),
    }


def links(path: str) -> dict[str, str]:
    """Return where to go from the job at `path`."""
    parts = ("events", "cancel", "candidates", "model", "report")
    return {"self": path, **{part: f"{path}/{part}" for part in parts}}
