"""Where a client's key comes from."""

from __future__ import annotations

import os
from pathlib import Path

from service.client.errors import ClientError

VARIABLE = "EIGENPRESS_API_KEY"
FILE_VARIABLE = "EIGENPRESS_API_KEY_FILE"


def find_key(given: str | None) -> str | None:
    """Return the key that was given, that of EIGENPRESS_API_KEY, or that in the file EIGENPRESS_API_KEY_FILE.

    Raises ClientError where the file cannot be read, or holds what no header can carry.
    """
    key = (given or os.environ.get(VARIABLE) or _from_file()).strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ClientError("the API key is not one line of text as `eigenpress keys create` prints")
    return key or None


def _from_file() -> str:
    file = os.environ.get(FILE_VARIABLE)
    if not file:
        return ""
    try:
        return Path(file).expanduser().read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise ClientError(f"{FILE_VARIABLE}: {error}") from error
