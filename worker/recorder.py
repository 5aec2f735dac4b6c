"""Writes what a running engine tells into the records, not more often than the settings allow."""

from __future__ import annotations

import time
from typing import Any

from service.store.events.repository import EventRepository
from service.store.jobs.repository import JobRepository
from worker.candidates import announced_values, record_candidate, store_files
from worker.claims import Claimed, Stores
from worker.messages import Message

PROGRESS = ("fraction", "eta_seconds", "metrics")
STEPS = ("step", "total_steps")


class Recorder:
    """Keeps the record of one attempt; `lost` when the lease was gone at a write."""

    def __init__(self, stores: Stores, claimed: Claimed) -> None:
        self.lost = False
        self._stores, self._claimed = stores, claimed
        self._waiting: Message | None = None
        self._stage: str | None = None
        self._steps: dict[str, Any] = dict.fromkeys(STEPS)
        self._told_percent = 0
        self._written = 0.0

    def take(self, message: Message) -> None:
        """Note progress: at once where it is more than a number, else when it is due."""
        if message.get("candidate"):
            self._candidate(message["candidate"])
        if message.get("warning"):
            self._tell("job.warning", "warn", str(message["warning"]), {})
        self._waiting = message
        if message["stage"] != self._stage:
            self.flush()

    def flush_if_due(self) -> None:
        """Write the latest progress when the last write is long enough ago."""
        interval = self._stores.settings.progress_interval_seconds
        if time.monotonic() - self._written >= interval:
            self.flush()

    def flush(self) -> None:
        """Write the latest progress, if there is any."""
        message, self._waiting = self._waiting, None
        if message is None or self.lost:
            return
        progress = self._progress(message)
        with self._stores.database.begin() as session:
            jobs = JobRepository(session)
            if not jobs.progress(self._claimed.id, self._claimed.fence, message["stage"], progress):
                self.lost = True
                return
            for event in self._news(message, progress):
                EventRepository(session).append(self._claimed.id, *event)
        self._written = time.monotonic()

    def _progress(self, message: Message) -> dict[str, Any]:
        """Return what is recorded of a message; a stage without steps leaves the step where it was."""
        if message["total_steps"]:
            self._steps = {key: message[key] for key in STEPS}
        return {key: message[key] for key in PROGRESS} | self._steps

    def _news(
        self, message: Message, progress: dict[str, Any]
    ) -> list[tuple[str, str, str, dict[str, Any]]]:
        news = []
        if message["stage"] != self._stage:
            data = {"stage": message["stage"], "from": self._stage}
            news.append(("job.stage_changed", "info", message["stage"], data))
            self._stage = message["stage"]
        percent = int(100 * progress["fraction"])
        if percent > self._told_percent or message["message"]:
            data = {"stage": message["stage"], **progress}
            news.append(("job.progress", "info", message["message"], data))
            self._told_percent = percent
        if message["metrics"]:
            data = {"step": message["step"], **message["metrics"]}
            news.append(("job.metrics", "info", "", data))
        return news

    def _candidate(self, candidate: dict[str, Any]) -> None:
        values = store_files(self._stores.artifacts, candidate) | announced_values(candidate)
        with self._stores.database.begin() as session:
            if not JobRepository(session).holds(self._claimed.id, self._claimed.fence):
                self.lost = True
                return
            record_candidate(session, self._claimed.id, candidate["index"], **values)

    def _tell(self, kind: str, level: str, message: str, data: dict[str, Any]) -> None:
        with self._stores.database.begin() as session:
            if not JobRepository(session).holds(self._claimed.id, self._claimed.fence):
                self.lost = True
                return
            EventRepository(session).append(self._claimed.id, kind, level, message, data)
