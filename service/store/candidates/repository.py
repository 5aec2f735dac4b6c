"""All SQL on candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.base import now
from service.store.candidates.records import CandidateRecord
from service.store.ids import new_id


class CandidateRepository:
    """Compressed models of jobs."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(
        self,
        *,
        job_id: str,
        index: int,
        sha256: str,
        size_bytes: int,
        nodes: int,
        params: int,
        macs: int,
        metrics: dict[str, Any] | None = None,
        external: list[dict[str, Any]] | None = None,
    ) -> CandidateRecord:
        """Record a candidate; one that an earlier attempt recorded at this index is replaced."""
        record = self.at(job_id, index)
        if record is None:
            record = CandidateRecord(
                id=new_id("cand_"), job_id=job_id, index=index, chosen=False, created_at=now()
            )
            self.session.add(record)
        record.sha256, record.size_bytes, record.external = sha256, size_bytes, external or []
        record.nodes, record.params, record.macs = nodes, params, macs
        record.metrics = metrics or {}
        self.session.flush()
        return record

    def at(self, job_id: str, index: int) -> CandidateRecord | None:
        """Return the candidate at this index of the job's path, or None."""
        query = select(CandidateRecord).where(
            CandidateRecord.job_id == job_id, CandidateRecord.index == index
        )
        return self.session.scalars(query).one_or_none()

    def get(self, candidate_id: str) -> CandidateRecord | None:
        """Return a candidate, or None."""
        return self.session.get(CandidateRecord, candidate_id)

    def list(self, job_id: str) -> Sequence[CandidateRecord]:
        """Return all candidates of a job, from wide to narrow."""
        query = (
            select(CandidateRecord)
            .where(CandidateRecord.job_id == job_id)
            .order_by(CandidateRecord.nodes.desc(), CandidateRecord.index)
        )
        return self.session.scalars(query).all()

    def choose(self, candidate_id: str) -> None:
        """Mark a candidate as its job's chosen one."""
        record = self.session.get_one(CandidateRecord, candidate_id)
        for other in self.list(record.job_id):
            other.chosen = other.id == candidate_id
        self.session.flush()
