"""The jobs table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.store.base import Base
from service.store.tenancy import OfTenant

STATUSES = ("queued", "running", "cancelling", "succeeded", "failed", "cancelled")
TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
HELD = ("running", "cancelling")
# What a job is for, and how the ids of its kind begin.
PREFIXES = {"compression": "job_", "analysis": "ana_"}


class JobRecord(OfTenant, Base):
    """A compression, or an analysis. `fence` counts its claims: whoever writes must hold the latest.

    An analysis may have no data set; its `recipe` holds `target`, `batch_size` and the `recipe` of a job, its
    `metadata` the digest of what was asked, its `result` the analysis.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES}", name="status"),
        CheckConstraint(f"kind IN {tuple(PREFIXES)}", name="kind"),
        CheckConstraint("kind = 'analysis' OR dataset_id IS NOT NULL", name="inputs"),
        Index(None, "tenant", "kind", "id"),
        Index(None, "tenant", "status"),
        Index(None, "status", "queue", "priority", "id"),
        Index(None, "status", "lease_until"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), default="compression")
    status: Mapped[str] = mapped_column(String(16))
    status_reason: Mapped[str | None] = mapped_column(Text)
    stage: Mapped[str | None] = mapped_column(String(32))
    outcome: Mapped[str | None] = mapped_column(String(32))
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), index=True)
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"), index=True)
    recipe: Mapped[dict[str, Any]]
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata")
    priority: Mapped[int]
    limits: Mapped[dict[str, Any]]
    queue: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, Any] | None]
    progress: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    usage: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    owner: Mapped[str | None] = mapped_column(String(200))
    fence: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    last_sequence: Mapped[int] = mapped_column(default=0)
    chosen_candidate_id: Mapped[str | None] = mapped_column(String(64))
    report_json_sha256: Mapped[str | None] = mapped_column(String(64))
    report_html_sha256: Mapped[str | None] = mapped_column(String(64))
    report_csv_sha256: Mapped[str | None] = mapped_column(String(64))
