"""Pages by cursor: ids sort by time, so the id itself is the cursor."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

Order = Literal["asc", "desc"]


def page(
    query: Select[Any],
    key: InstrumentedAttribute[str],
    after: str | None,
    limit: int,
    order: Order,
) -> Select[Any]:
    """Return `query` for the rows that follow `after` in this order."""
    if after is not None:
        query = query.where(key > after if order == "asc" else key < after)
    return query.order_by(key.asc() if order == "asc" else key.desc()).limit(limit)
