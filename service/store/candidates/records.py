"""The candidates table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.store.base import Base
from service.store.tenancy import OfJob


class CandidateRecord(OfJob, Base):
    """A compressed model of a job; its bytes are the artifact `sha256`.

    `external` lists the files of its external data, each with `name`, `sha256` and `size_bytes`.
    """

    __tablename__ = "candidates"
    __table_args__ = (UniqueConstraint("job_id", "index"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    index: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    external: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    nodes: Mapped[int] = mapped_column(BigInteger)
    params: Mapped[int] = mapped_column(BigInteger)
    macs: Mapped[int] = mapped_column(BigInteger)
    metrics: Mapped[dict[str, Any]]
    chosen: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
