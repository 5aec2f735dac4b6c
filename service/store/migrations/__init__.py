"""The schema of the records, step by step: `upgrade(database_url)`."""

from service.store.migrations.run import (
    SchemaOutdatedError,
    bring_up,
    check,
    current_revision,
    downgrade,
    head_revision,
    upgrade,
)

__all__ = [
    "SchemaOutdatedError",
    "bring_up",
    "check",
    "current_revision",
    "downgrade",
    "head_revision",
    "upgrade",
]
