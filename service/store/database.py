"""Sessions on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from service.store.engine import READS, open_engine
from service.store.migrations.run import bring_up


class Database:
    """The records of all tenants. A new SQLite file gets its tables; a server must have been migrated.

    Sessions are of `kind` and carry `info`; `service.store.scope` has those of one tenant.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = open_engine(url)
        bring_up(self.engine, url)
        # What one request has read stays readable after its transaction.
        self._reading = self.engine.execution_options(**{READS: True})

    @contextmanager
    def begin(
        self, kind: type[Session] = Session, info: dict[str, Any] | None = None
    ) -> Iterator[Session]:
        """Yield a session that writes; commits on success, rolls back on any error."""
        with kind(self.engine, expire_on_commit=False, info=info) as session, session.begin():
            yield session

    @contextmanager
    def read(
        self, kind: type[Session] = Session, info: dict[str, Any] | None = None
    ) -> Iterator[Session]:
        """Yield a session that only reads, and that never waits for a writer on SQLite."""
        with kind(self._reading, expire_on_commit=False, info=info) as session:
            yield session
            session.expunge_all()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
