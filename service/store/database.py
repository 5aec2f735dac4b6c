"""Sessions on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from service.store.engine import READS, open_engine
from service.store.migrations.run import bring_up


class Database:
    """The records. A new SQLite file gets its tables; a server must have been migrated."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = open_engine(url)
        bring_up(self.engine, url)
        # What one request has read stays readable after its transaction.
        self._reading = self.engine.execution_options(**{READS: True})

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """Yield a session that writes; commits on success, rolls back on any error."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session that only reads, and that never waits for a writer on SQLite."""
        with Session(self._reading, expire_on_commit=False) as session:
            yield session
            session.expunge_all()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
