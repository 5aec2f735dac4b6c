"""`Prefer: wait=N` (RFC 7240): how long a client would wait for an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Header
from starlette.requests import Request

WAIT = re.compile(r'wait\s*=\s*"?(\d{1,9})"?')


def read_wait(
    request: Request,
    prefer: Annotated[
        str | None,
        Header(description="`wait=N`: seconds to wait for the data to be looked at; at most 60"),
    ] = None,
) -> float | None:
    """Return the seconds, None where none are said. What is no preference is passed over, as the RFC has it."""
    del prefer  # declared for the document; a header may come in several lines
    return preferred_wait(request.headers.getlist("prefer"))


PreferredWait = Annotated[float | None, Depends(read_wait)]


def preferred_wait(lines: Sequence[str]) -> float | None:
    """Return the `wait` of a header's lines; the first counts. `respond-async` alone is a wait of 0."""
    preferences = [part.split(";")[0].strip().lower() for part in ",".join(lines).split(",")]
    for one in preferences:
        if match := WAIT.fullmatch(one):
            return float(match[1])
    return 0.0 if "respond-async" in preferences else None
