"""The parts of one running API, of all tenants together: for health, numbers and whoever starts it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from service.api.batch_reader import BatchReader
from service.api.metrics import Metrics
from service.job_notifier import JobNotifier
from service.settings import Settings
from service.store.artifacts.blobs import ArtifactStore
from service.store.database import Database
from service.store.jobs.records import JobRecord


@dataclass(frozen=True)
class ReadJob:
    """A job's row and its place in the queue."""

    job: JobRecord
    queue_position: int | None


@dataclass
class Application:
    """What every request shares."""

    settings: Settings
    database: Database
    artifacts: ArtifactStore
    notifier: JobNotifier
    job_reader: BatchReader[ReadJob]
    metrics: Metrics = field(default_factory=Metrics)
    closing: bool = False


def serving(request: Request) -> Application:
    """Return the application that serves `request`."""
    application: Application = request.app.state.application
    return application


ApplicationDep = Annotated[Application, Depends(serving)]
