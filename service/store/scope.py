"""One tenant's view of the records: every query of a session is narrowed to it, whoever wrote the query.

A repository says what it looks for; whose it may be is added here, to every SELECT, UPDATE and DELETE and to every new
row. A statement that this could not reach, because it does not name the records' classes, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import (
    LoaderCriteriaOption,
    ORMExecuteState,
    Session,
    UOWTransaction,
    with_loader_criteria,
)

from service.store.base import Base
from service.store.database import Database
from service.store.jobs.records import JobRecord
from service.store.tenancy import OF_ALL_TENANTS, OfJob, OfTenant

TENANT = "tenant"


class TenantSession(Session):
    """A session that sees, changes and adds the rows of one tenant."""


class TenantDatabase:
    """The records of one tenant; what it hands out cannot reach any other's."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self.tenant = tenant

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """Yield a session that writes; commits on success, rolls back on any error."""
        with self._database.begin(TenantSession, {TENANT: self.tenant}) as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session that only reads, and that never waits for a writer on SQLite."""
        with self._database.read(TenantSession, {TENANT: self.tenant}) as session:
            yield session


def tenant_of(session: Session) -> str | None:
    """Return whose view a session is; None for one that sees all."""
    return session.info.get(TENANT)


@event.listens_for(TenantSession, "do_orm_execute")
def _narrow(state: ORMExecuteState) -> None:
    if not state.is_orm_statement:
        raise ForeignStatementError(f"no tenant can be read from this statement: {state.statement}")
    if state.execution_options.get(OF_ALL_TENANTS):
        return
    state.statement = state.statement.options(*_criteria(state.session.info[TENANT]))


@event.listens_for(TenantSession, "before_flush")
def _claim_new_rows(session: Session, _: UOWTransaction, __: Any) -> None:
    tenant = session.info[TENANT]
    for record in session.new:
        if isinstance(record, OfTenant):
            if record.tenant not in (None, tenant):
                raise ForeignStatementError(
                    f"a row of {record.tenant!r} in a session of {tenant!r}"
                )
            record.tenant = tenant


class ForeignStatementError(Exception):
    """A statement that would leave the session's tenant: a mistake in the program."""


@lru_cache(maxsize=1024)
def _criteria(tenant: str) -> tuple[LoaderCriteriaOption, ...]:
    return tuple(_criterion_of(mapper.class_, tenant) for mapper in Base.registry.mappers)


def _criterion_of(kind: type[Any], tenant: str) -> LoaderCriteriaOption:
    if issubclass(kind, OfTenant):
        return with_loader_criteria(kind, kind.tenant == tenant)
    if issubclass(kind, OfJob):
        jobs = select(JobRecord.id).where(JobRecord.tenant == tenant)
        return with_loader_criteria(kind, kind.job_id.in_(jobs))
    raise ForeignStatementError(f"{kind.__name__} is of no tenant and of no job")
