"""Reading one job, waiting for its end where that is asked for."""

from __future__ import annotations

import time
from typing import Any

from anyio import sleep

from service.api.context import Context
from service.api.jobs import service
from service.api.jobs.schemas import TERMINAL
from service.api.jobs.show import show

POLL_SECONDS = 0.5


async def read_job(
    here: Context, job_id: str, base_url: str, wait_seconds: float
) -> dict[str, Any]:
    """Return the job as shown; hold neither thread nor connection while waiting."""
    until = time.monotonic() + wait_seconds
    while True:
        found = await here.job_reader.read(job_id)
        if found is None:
            raise service.not_found(job_id)
        left = until - time.monotonic()
        if found.job.status in TERMINAL or left <= 0 or here.is_closing():
            return show(found.job, base_url, found.queue_position)
        await sleep(min(POLL_SECONDS, left))
