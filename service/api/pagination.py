"""Lists by cursor: `limit`, `after`, `order`, and a Link to the next page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from service.api.json_text import json_response
from service.errors import InvalidRequest
from service.store.ids import is_id

Row = TypeVar("Row")
Order = Literal["asc", "desc"]
DEFAULT_LIMIT = 20
MAX_LIMIT = 100


class Cursor:
    """Which page was asked for. An over-large limit is clamped, not refused."""

    def __init__(
        self,
        limit: Annotated[
            int, Query(ge=1, description=f"at most {MAX_LIMIT}; more is clamped")
        ] = DEFAULT_LIMIT,
        after: Annotated[
            str | None, Query(max_length=64, description="`last_id` of the page before")
        ] = None,
        order: Annotated[Order, Query(description="by time of creation")] = "desc",
    ) -> None:
        self.limit = min(limit, MAX_LIMIT)
        self.after = after
        self.order: Order = order

    def after_id(self, prefix: str) -> str | None:
        """Return the id to go on after. Raises InvalidRequest when it is none of these."""
        if self.after is not None and not is_id(self.after, prefix):
            item = {"detail": f"not an id {prefix}…", "pointer": "#/after", "location": "query"}
            raise InvalidRequest(f"after: {item['detail']}", errors=[item])
        return self.after


CursorQuery = Annotated[Cursor, Depends()]


def page(
    request: Request, cursor: Cursor, rows: Sequence[Row], show: Callable[[Row], dict[str, Any]]
) -> Response:
    """Answer with one page; `rows` holds one more than the limit where there is a next page."""
    data = [show(row) for row in rows[: cursor.limit]]
    body = {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": len(rows) > cursor.limit,
    }
    headers = {"Cache-Control": "no-store"}
    if body["has_more"]:
        headers["Link"] = f'<{next_url(request, body["last_id"])}>; rel="next"'
    return json_response(body, headers=headers)


def next_url(request: Request, after: object) -> str:
    """Return this request's path and query with another `after`."""
    query = [pair for pair in request.query_params.multi_items() if pair[0] != "after"]
    return f"{request.url.path}?{urlencode([*query, ('after', str(after))])}"
