"""Shapes that all resources share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

Item = TypeVar("Item")

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})  # states that do not change any more


class Request(BaseModel):
    """A body that a client sends: unknown fields and numbers that JSON lacks are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Resource(BaseModel):
    """Something that the API returns. Clients must ignore fields that they do not know."""

    model_config = ConfigDict(extra="ignore")


class Page(Resource, Generic[Item]):
    """One page of a list; ask for the next with `after=last_id` while `has_more`."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool


def timestamp(moment: datetime | None) -> str | None:
    """Return an aware time as RFC 3339 in UTC, to the millisecond."""
    if moment is None:
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime, PlainSerializer(timestamp, when_used="json"), Field(description="RFC 3339, UTC")
]
