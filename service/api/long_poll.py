"""Reading one job, waiting for its end where that is asked for."""

from __future__ import annotations

import time

from anyio import sleep

from service.api.context import Context, ReadJob
from service.api.schemas import TERMINAL
from service.store.ids import is_id

POLL_SECONDS = 0.2
MAX_WAIT_SECONDS = 60.0


async def read_at_end(
    context: Context, job_id: str, prefix: str, wait_seconds: float
) -> ReadJob | None:
    """Return the row of this kind of id at its end or in time; hold neither thread nor connection meanwhile."""
    if not is_id(job_id, prefix):
        return None
    until = time.monotonic() + wait_seconds
    while True:
        row = await context.read_job(job_id)
        left = until - time.monotonic()
        if row is None or row.job.status in TERMINAL or left <= 0 or context.is_closing():
            return row
        await sleep(min(POLL_SECONDS, left))
