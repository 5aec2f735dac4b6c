"""How much one attempt may take: the settings, the job's own limits, and what earlier attempts have left of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.settings import Settings
from spectral_engine.machine import memory_bytes
from worker.messages import Limits

MEMORY_SHARE = 0.8  # of the machine's, for all jobs that run on it at the same time
DISK_SHARE = 0.5  # of what is free
SMALLEST = 2**30  # bytes: less serves no job
RUN_SECONDS = "run_seconds"  # of a job's usage


def limits_of(
    settings: Settings,
    at_once: int,
    folder: Path,
    job: Mapping[str, Any],
    used: Mapping[str, float],
) -> Limits:
    """Return the limits of the next attempt at a job.

    `at_once` jobs share the machine; `job` are its own limits, `used` is what its earlier attempts have cost.
    """
    runtime = settings.max_job_runtime_seconds
    if (asked := job.get("max_runtime_seconds")) is not None:
        runtime = min(runtime, asked)
    cpu = settings.max_job_cpu_seconds or runtime * (os.cpu_count() or 1)
    return Limits(
        memory_bytes=settings.max_job_memory_bytes or _share_of_memory(at_once),
        runtime_seconds=runtime,
        runtime_used=used.get(RUN_SECONDS, 0.0),
        cpu_seconds=cpu,
        cpu_used=used.get("cpu_seconds", 0.0),
        disk_bytes=settings.max_job_disk_bytes or _share_of_disk(folder, at_once),
        open_files=settings.max_job_open_files,
        processes=settings.max_job_processes,
        network=settings.job_network,
    )


def _share_of_memory(at_once: int) -> int:
    return max(SMALLEST, int(memory_bytes() * MEMORY_SHARE) // at_once)


def _share_of_disk(folder: Path, at_once: int) -> int:
    return max(SMALLEST, int(shutil.disk_usage(folder).free * DISK_SHARE) // at_once)
