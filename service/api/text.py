"""Texts that users give: what may be in them, so that every store and header can hold them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from service.errors import InvalidRequest


def _storable(text: str) -> str:
    # PostgreSQL stores no NUL, and lone surrogates are no Unicode text.
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("holds a NUL or half of a surrogate pair")
    return text


def require_storable(text: str, field: str) -> None:
    """Raise InvalidRequest naming `field` when no store can hold `text`."""
    try:
        _storable(text)
    except ValueError as error:
        item = {"detail": str(error), "pointer": f"#/{field}", "location": "query"}
        raise InvalidRequest(f"{field}: {error}", errors=[item]) from None


Storable = AfterValidator(_storable)
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$"), Storable
]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64), Storable]
MetadataValue = Annotated[str, StringConstraints(max_length=512), Storable]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Field(max_length=16, description="up to 16 pairs of texts of your own"),
]


def display_name(file_name: str | None) -> str | None:
    """Return the last part of a client's file name, for display only, or None where none is left.

    It never becomes part of a path on this side.
    """
    if not file_name:
        return None
    last = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(char for char in last if char.isprintable()).strip()
    return shown[:200] or None
