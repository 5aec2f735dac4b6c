"""A job that this worker holds, with everything to run it and to write about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.settings import Settings
from service.store.artifacts.blobs import ArtifactStore
from service.store.database import Database
from service.store.datasets.records import DatasetRecord
from service.store.jobs.records import JobRecord
from service.store.jobs.repository import JobRepository
from service.store.models.records import ModelRecord
from worker.workspace import Workspace


@dataclass(frozen=True)
class Stores:
    """What every part of a worker reads and writes."""

    settings: Settings
    database: Database
    artifacts: ArtifactStore


@dataclass(frozen=True)
class Claimed:
    """A job under its fencing token."""

    job: JobRecord
    fence: int
    model: ModelRecord
    dataset: DatasetRecord | None  # an analysis may have none
    workspace: Workspace

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id


def claim_next(stores: Stores, owner: str, queues: Sequence[str]) -> Claimed | None:
    """Take the job that is next, of the first queue that has one; None where nothing waits."""
    while True:
        job_id = _next(stores, queues)
        if job_id is None:
            return None
        claimed = claim(stores, owner, job_id)
        if claimed is not None:
            return claimed


def _next(stores: Stores, queues: Sequence[str]) -> str | None:
    with stores.database.read() as session:
        jobs, most = JobRepository(session), stores.settings.max_running_jobs
        # An analysis takes seconds, and somebody waits for it: before all compressions.
        analysis = jobs.next_queued(queues, kind="analysis", max_running=most)
        return analysis or next(
            (one for queue in queues if (one := jobs.next_queued([queue], max_running=most))), None
        )


def claim(stores: Stores, owner: str, job_id: str) -> Claimed | None:
    """Take one job; None when another worker has it, or it does not wait any more."""
    with stores.database.begin() as session:
        fence = JobRepository(session).leases.claim(
            job_id, owner, stores.settings.lease_seconds, stores.settings.max_running_jobs
        )
        if fence is None:
            return None
        job = session.get_one(JobRecord, job_id)
        model = session.get_one(ModelRecord, job.model_id)
        dataset = session.get_one(DatasetRecord, job.dataset_id) if job.dataset_id else None
    workspace = Workspace(stores.settings.scratch_dir(job_id))
    return Claimed(job, fence, model, dataset, workspace)
