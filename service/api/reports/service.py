"""What the report endpoint does."""

from __future__ import annotations

from typing import Literal

from service.api.context import Context
from service.api.jobs.service import no_result, require

Format = Literal["json", "html", "csv"]
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
}


def digest(context: Context, job_id: str, format: Format) -> str:
    """Return the SHA-256 under which the report is stored.

    Raises ResultNotReady while the job is at work, NotFound when it ended without a report.
    """
    with context.database.read() as session:
        job = require(session, job_id)
        sha256 = {
            "json": job.report_json_sha256,
            "html": job.report_html_sha256,
            "csv": job.report_csv_sha256,
        }[format]
        if sha256 is None:
            raise no_result(job, f"{format.upper()} report")
        return sha256
