"""`Idempotency-Key`: a request that is sent again finds the answer of the first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Header
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.api.context import Context
from service.api.json_text import encode
from service.errors import IdempotencyKeyReused, InvalidRequest
from service.store.idempotency.repository import IdempotencyRepository

# A string of RFC 8941 in quotes, or the same without them.
KEY = re.compile(r'"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x5b\x5d-\x7e]{1,255})')
Make = Callable[[Session], dict[str, Any]]


def read_key(
    idempotency_key: Annotated[
        str | None,
        Header(description="a text of your own, best a UUID; kept for at least a day"),
    ] = None,
) -> str | None:
    """Return the key without quotes. Raises InvalidRequest for what is no key."""
    if idempotency_key is None:
        return None
    match = KEY.fullmatch(idempotency_key)
    if match is None:
        detail = "1 to 255 printable ASCII characters, with or without quotes"
        item = {"detail": detail, "pointer": "#/idempotency-key", "location": "header"}
        raise InvalidRequest(f"Idempotency-Key: {detail}", errors=[item])
    return match[1] or match[2]


Key = Annotated[str | None, Depends(read_key)]


def once(
    context: Context, key: str | None, operation: str, payload: dict[str, Any], make: Make
) -> tuple[dict[str, Any], bool]:
    """Return what `make` returns, and False; or what it returned under this key before, and True.

    Key and result are committed together, so there is no moment at which one exists without the
    other. Raises IdempotencyKeyReused when the key came with another payload.
    """
    if key is None:
        with context.database.begin() as session:
            return make(session), False
    fingerprint = hashlib.sha256(encode([operation, payload])).hexdigest()
    try:
        return _once(context, key, fingerprint, make)
    except IntegrityError:
        # The same request came twice at the same time, and the other one was first.
        return _once(context, key, fingerprint, make)


def _once(context: Context, key: str, fingerprint: str, make: Make) -> tuple[dict[str, Any], bool]:
    with context.database.begin() as session:
        kept = IdempotencyRepository(session)
        earlier = kept.get(key)
        if earlier is None:
            made = make(session)
            kept.add(key, fingerprint, made)
            return made, False
        if earlier.fingerprint != fingerprint:
            raise IdempotencyKeyReused(f"The key {key!r} came with another request before.")
        return earlier.response, True
