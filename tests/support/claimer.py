"""`python -m tests.support.claimer URL GATE`: claim whatever waits, as one of many processes."""

import json
import os
import sys
from pathlib import Path

from service.store.database import Database
from service.store.jobs.repository import JobRepository
from tests.support.waiting import wait_until

PATIENCE_SECONDS = 60


def main(url: str, gate: Path) -> None:
    """Say that we are ready, wait for all others, claim every job; print [job, token] of the claimed ones."""
    database = Database(url)
    (gate / f"ready-{os.getpid()}").touch()
    wait_until((gate / "open").exists, PATIENCE_SECONDS, pause=0.001)
    won = []
    while True:
        with database.read() as session:
            job_id = JobRepository(session).next_queued(["cpu"])
        if job_id is None:
            break
        with database.begin() as session:
            fence = JobRepository(session).leases.claim(job_id, str(os.getpid()), 60)
        if fence is not None:
            won.append([job_id, fence])
    print(json.dumps(won))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
