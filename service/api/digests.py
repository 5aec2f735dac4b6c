"""SHA-256 in HTTP: `Content-Digest` and `Repr-Digest` of RFC 9530, and strong entity tags."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from service.errors import DigestMismatch

FIELDS = ("content-digest", "repr-digest")
PREFIX = "sha-256="


def announced(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 in hex by digest field, for those that the sender gave.

    Other algorithms are passed over, as RFC 9530 asks. Raises DigestMismatch when a SHA-256 is
    no byte sequence of 32 bytes.
    """
    digests = {}
    for field in FIELDS:
        members = (headers.get(field) or "").split(",")
        for member in (text.strip() for text in members):
            if member.startswith(PREFIX):
                digests[field] = _hex(field, member.removeprefix(PREFIX))
    return digests


def _hex(field: str, value: str) -> str:
    try:
        raw = base64.b64decode(value.strip(":"), validate=True)
    except binascii.Error:
        raw = b""
    if not (value.startswith(":") and value.endswith(":")) or len(raw) != 32:
        raise DigestMismatch(
            f"{field.title()} is not of the form sha-256=:<base64 of 32 bytes>:",
            errors=[_item(field, "not a SHA-256 in base64 between colons")],
        )
    return raw.hex()


def check(given: Mapping[str, str], *actual: str) -> None:
    """Raise DigestMismatch unless every announced digest is one of the `actual` ones (hex)."""
    for field, expected in given.items():
        if expected not in actual:
            detail = f"{field.title()} announces {expected}, but {actual[0]} arrived."
            raise DigestMismatch(detail, errors=[_item(field, detail)])


def _item(field: str, detail: str) -> dict[str, str]:
    return {"detail": detail, "pointer": f"#/{field}", "location": "header"}


def repr_digest(sha256: str) -> str:
    """Return the value of `Repr-Digest` for a digest in hex."""
    return f"{PREFIX}:{base64.b64encode(bytes.fromhex(sha256)).decode('ascii')}:"


def etag(sha256: str) -> str:
    """Return the strong entity tag of content with this digest."""
    return f'"{sha256}"'
