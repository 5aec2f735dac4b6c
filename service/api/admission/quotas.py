"""How much a tenant may have: bytes that are stored, jobs that wait, seconds of workers in a day (UTC)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from sqlalchemy.orm import Session

from service.errors import QuotaExceeded
from service.settings import Settings
from service.store import usage
from service.store.base import now

DAY_SECONDS = 86_400
QUEUE_RETRY_SECONDS = 30
STORAGE_RETRY_SECONDS = 3600


@dataclass(frozen=True)
class Policy:
    """A limit, as draft-ietf-httpapi-ratelimit-headers names it."""

    name: str
    quota: int
    more: str = ""

    def exceeded(self, detail: str, retry_after_seconds: int) -> QuotaExceeded:
        """Return the error of a request over this limit."""
        return QuotaExceeded(
            detail,
            headers={
                "Retry-After": str(retry_after_seconds),
                **self.headers(0, retry_after_seconds),
            },
            extensions={"violated-policies": [self.name]},
        )

    def headers(self, remaining: int, seconds: int) -> dict[str, str]:
        """Return what tells a client of this limit, and what is left of it."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.quota}{self.more}',
            "RateLimit": f'"{self.name}";r={remaining};t={seconds}',
        }


@dataclass(frozen=True)
class Quotas:
    """The limits of one tenant; each is looked at in the transaction that it guards."""

    settings: Settings
    tenant: str

    def require_job(self, session: Session) -> None:
        """Raise QuotaExceeded where no further job or analysis may be queued."""
        most, seconds = self.settings.max_queued_jobs, self.settings.max_worker_seconds_per_day
        if most is None and seconds is None:
            return
        usage.take_turns(session, self.tenant)
        if most is not None and usage.queued_jobs(session) >= most:
            detail = f"{most} jobs of this tenant wait already. Submit more when some have started."
            raise Policy("queued-jobs", most).exceeded(detail, QUEUE_RETRY_SECONDS)
        if seconds is not None:
            self._require_seconds(session, seconds)

    def _require_seconds(self, session: Session, most: int) -> None:
        midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
        used = usage.worker_seconds(session, midnight)
        if used >= most:
            left = ceil((midnight + timedelta(days=1) - now()).total_seconds())
            detail = (
                f"Jobs of this tenant have run for {used:.0f} s today (UTC) of {most} s that are allowed. "
                "Jobs that wait already will run."
            )
            raise Policy("worker-seconds", most, f";w={DAY_SECONDS}").exceeded(detail, left)

    def free_bytes(self, session: Session) -> int | None:
        """Return how many bytes may still be stored; None where there is no limit."""
        most = self.settings.max_stored_bytes
        return None if most is None else max(most - usage.stored_bytes(session), 0)

    def require_bytes(self, session: Session) -> None:
        """Raise QuotaExceeded where what was just recorded is more than may be stored."""
        if self.settings.max_stored_bytes is None:
            return
        usage.take_turns(session, self.tenant)
        if usage.stored_bytes(session) > self.settings.max_stored_bytes:
            raise self.no_room()

    def no_room(self) -> QuotaExceeded:
        """Return the error of an upload that does not fit into what may be stored."""
        most = self.settings.max_stored_bytes or 0
        detail = (
            f"With this upload the tenant would store more than the {most} bytes that are allowed."
        )
        policy = Policy("stored-bytes", most, ';qu="content-bytes"')
        return policy.exceeded(detail, STORAGE_RETRY_SECONDS)
