"""The API by bare requests, as a pipeline in any language would send them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

TERMINAL = ("job.succeeded", "job.failed", "job.cancelled")


def upload(url: str, collection: str, file: Path) -> dict[str, Any]:
    """Upload a file as multipart; return the resource."""
    with file.open("rb") as content:
        answer = httpx2.post(f"{url}/v1/{collection}", files={"file": (file.name, content)})
    assert answer.status_code == 201, answer.text
    return answer.json()


def submit(url: str, files: tuple[Path, Path], **recipe: Any) -> dict[str, Any]:
    """Upload model and data and submit a job; return it."""
    model, data = upload(url, "models", files[0]), upload(url, "datasets", files[1])
    body = {"model": model["id"], "dataset": data["id"], "recipe": recipe}
    answer = httpx2.post(f"{url}/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


def stream(url: str, job_id: str, seconds: float = 120.0) -> Iterator[dict[str, Any]]:
    """Yield a job's server-sent events until the terminal one, each as (id, event, data) says."""
    headers = {"Accept": "text/event-stream"}
    path = f"{url}/v1/jobs/{job_id}/events"
    with httpx2.stream("GET", path, headers=headers, timeout=seconds) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif not line and "data" in fields:
                event = json.loads(fields["data"])
                assert fields["event"] == event["type"]
                assert int(fields["id"]) == event["sequence"]
                fields = {}
                yield event
                if event["type"] in TERMINAL:
                    return


def get_job(url: str, job_id: str) -> dict[str, Any]:
    """Return a job as it is now."""
    return httpx2.get(f"{url}/v1/jobs/{job_id}").raise_for_status().json()
