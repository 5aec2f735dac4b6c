"""What the endpoints work with: one object per application, handed out as dependencies."""

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
class Context:
    """The parts of one running API."""

    settings: Settings
    database: Database
    artifacts: ArtifactStore
    notifier: JobNotifier
    job_reader: BatchReader[ReadJob]
    metrics: Metrics = field(default_factory=Metrics)
    closing: bool = False

    def is_closing(self) -> bool:
        """Say whether the server is stopping, so that streams and long polls must end."""
        return self.closing


def current(request: Request) -> Context:
    """Return the context of the application that serves `request`."""
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(current)]
