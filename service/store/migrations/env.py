"""What alembic runs: the migrations on the engine that it was given."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, Engine

from service.store.base import UtcTime
from service.store.records import Base

LOCK = 7_201_423  # any number, the same for all who migrate one PostgreSQL database


def run() -> None:
    engine: Engine = context.config.attributes["engine"]
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Batch mode moves a table by copying and dropping it, which foreign keys would refuse.
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA foreign_keys=OFF")
        migrate(connection)


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        transactional_ddl=True,  # also on SQLite: engine.py begins transactions itself
        render_item=render_item,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        context.run_migrations()


def render_item(kind: str, item: object, _: object) -> str | Literal[False]:
    # Revisions must not change when the records' own types do.
    if kind == "type" and isinstance(item, UtcTime):
        return "sa.DateTime(timezone=True)"
    return False


run()
