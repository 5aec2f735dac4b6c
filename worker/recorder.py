"""Writes what a running engine tells into the records, not more often than the settings allow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from service.store.events.repository import EventRepository
from service.store.jobs.repository import JobRepository
from worker.candidates import announced_facts, record_candidate, store_model
from worker.claims import Claimed, Stores
from worker.messages import AnnouncedCandidate, Progressed


@dataclass(frozen=True)
class News:
    """An event that is to be appended."""

    type: str
    data: dict[str, Any]
    message: str = ""
    level: str = "info"


class Recorder:
    """Keeps the record of one attempt; `lost` when the lease was gone at a write."""

    def __init__(self, stores: Stores, claimed: Claimed) -> None:
        self.lost = False
        self._stores, self._claimed = stores, claimed
        self._waiting: Progressed | None = None
        self._stage: str | None = None
        self._step: int | None = None
        self._total_steps: int | None = None
        self._told_percent = 0
        self._written = 0.0

    def take(self, told: Progressed) -> None:
        """Note progress: at once where it is more than a number, else when it is due."""
        if told.candidate is not None:
            self._record(told.candidate)
        if told.warning:
            self._tell(News("job.warning", {}, told.warning, "warn"))
        self._waiting = told
        if told.stage != self._stage:
            self.flush()

    def flush_if_due(self) -> None:
        """Write the latest progress when the last write is long enough ago."""
        interval = self._stores.settings.progress_interval_seconds
        if time.monotonic() - self._written >= interval:
            self.flush()

    def flush(self) -> None:
        """Write the latest progress, if there is any."""
        told, self._waiting = self._waiting, None
        if told is None or self.lost:
            return
        progress = self._progress(told)
        with self._stores.database.begin() as session:
            leases = JobRepository(session).leases
            if not leases.progress(self._claimed.id, self._claimed.fence, told.stage, progress):
                self.lost = True
                return
            events = EventRepository(session)
            for news in self._news(told, progress):
                events.append(self._claimed.id, news.type, news.level, news.message, news.data)
        self._written = time.monotonic()

    def _progress(self, told: Progressed) -> dict[str, Any]:
        """Return what is recorded of progress; a stage without steps leaves the step where it was."""
        if told.total_steps:
            self._step, self._total_steps = told.step, told.total_steps
        return {
            "fraction": told.fraction,
            "eta_seconds": told.eta_seconds,
            "metrics": told.metrics,
            "step": self._step,
            "total_steps": self._total_steps,
        }

    def _news(self, told: Progressed, progress: dict[str, Any]) -> list[News]:
        news = []
        if told.stage != self._stage:
            data = {"stage": told.stage, "from": self._stage}
            news.append(News("job.stage_changed", data, told.stage))
            self._stage = told.stage
        percent = int(100 * told.fraction)
        if percent > self._told_percent or told.message:
            news.append(News("job.progress", {"stage": told.stage, **progress}, told.message))
            self._told_percent = percent
        if told.metrics:
            news.append(News("job.metrics", {"step": told.step, **told.metrics}))
        return news

    def _record(self, candidate: AnnouncedCandidate) -> None:
        artifacts = self._stores.artifacts.of(self._claimed.job.tenant)
        model = store_model(artifacts, candidate)
        facts = announced_facts(candidate)
        with self._stores.database.begin() as session:
            if self._holds(session):
                record_candidate(session, self._claimed.id, candidate.index, model, facts)

    def _tell(self, news: News) -> None:
        with self._stores.database.begin() as session:
            if self._holds(session):
                EventRepository(session).append(
                    self._claimed.id, news.type, news.level, news.message, news.data
                )

    def _holds(self, session: Session) -> bool:
        """Say whether the lease still stands, and note where it does not."""
        stands = JobRepository(session).leases.holds(self._claimed.id, self._claimed.fence)
        self.lost = self.lost or not stands
        return stands
