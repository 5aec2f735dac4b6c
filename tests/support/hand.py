"""What a worker does to a job's records, step by step and by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.api.application import Application
from service.store.candidates.repository import CandidateRepository
from service.store.events.repository import EventRepository
from service.store.jobs.error import JobError
from service.store.jobs.repository import JobRepository
from service.store.tenancy import DEFAULT_TENANT

LEASE_SECONDS = 60


@dataclass
class Hand:
    """Holds one job under its lease."""

    here: Application
    job_id: str
    fence: int = 0
    candidates: int = 0
    tenant: str = DEFAULT_TENANT

    def claim(self) -> Hand:
        """Take the job."""
        with self.here.database.begin() as session:
            fence = JobRepository(session).leases.claim(self.job_id, "test", LEASE_SECONDS)
        assert fence is not None
        self.fence = fence
        return self

    def progress(self, fraction: float, stage: str = "training", **more: Any) -> None:
        """Report how far it is."""
        progress = {"fraction": fraction, "step": 1, "total_steps": 4, **more}
        with self.here.database.begin() as session:
            assert JobRepository(session).leases.progress(self.job_id, self.fence, stage, progress)

    def tell(self, kind: str, message: str = "", **data: Any) -> None:
        """Append an event."""
        with self.here.database.begin() as session:
            EventRepository(session).append(self.job_id, kind, "info", message, data)

    def candidate(self, content: bytes, nodes: int, **external: bytes) -> str:
        """Store a compressed model and the files beside it; return its id."""
        files = [
            {"name": name, "sha256": self.store(data), "size_bytes": len(data)}
            for name, data in external.items()
        ]
        sha256 = self.store(content)
        self.candidates += 1
        with self.here.database.begin() as session:
            row = CandidateRepository(session).add(
                job_id=self.job_id,
                index=self.candidates,
                sha256=sha256,
                size_bytes=len(content),
                nodes=nodes,
                params=nodes * 10,
                macs=nodes * 100,
                metrics={"accuracy": 0.9},
                external=files,
            )
            return row.id

    def store(self, content: bytes) -> str:
        """Store bytes; return their digest."""
        with self.here.artifacts.of(self.tenant).writer() as writer:
            writer.write(content)
            writer.finish()
        return writer.sha256

    def succeed(self, chosen: str, **more: Any) -> None:
        """End the job with a result."""
        self._finish("succeeded", outcome="target_met", chosen_candidate_id=chosen, **more)

    def analysed(self, analysis: dict[str, Any]) -> None:
        """End an analysis with its result."""
        self._finish("succeeded", result=analysis)

    def fail(self, **error: Any) -> None:
        """End the job with an error."""
        self._finish("failed", error=JobError(**error))

    def cancelled(self) -> None:
        """End the job as was asked for."""
        self._finish("cancelled")

    def _finish(self, status: str, **more: Any) -> None:
        with self.here.database.begin() as session:
            assert JobRepository(session).leases.finish(self.job_id, self.fence, status, **more)
