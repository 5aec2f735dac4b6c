"""Reading one job, waiting for its end where that is asked for."""

from __future__ import annotations

import time
from typing import Any

from anyio import sleep
from starlette.concurrency import run_in_threadpool

from service.api.context import Context
from service.api.jobs import service
from service.api.jobs.schemas import TERMINAL

POLL_SECONDS = 0.5


async def read_job(
    here: Context, job_id: str, base_url: str, wait_seconds: float
) -> dict[str, Any]:
    """Return the job as shown; hold neither thread nor connection while waiting."""
    until = time.monotonic() + wait_seconds
    while True:
        body = await run_in_threadpool(service.read, here, job_id, base_url)
        left = until - time.monotonic()
        if body["status"] in TERMINAL or left <= 0 or here.is_closing():
            return body
        await sleep(min(POLL_SECONDS, left))
