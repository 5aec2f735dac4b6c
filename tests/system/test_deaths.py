"""Processes that are killed or stopped: no job is lost, none is done twice, nothing is left behind."""

import os
import signal
import socket
import subprocess
import sys

import httpx2

from tests.support.raw_http import get_job, stream, submit
from tests.support.running_service import (
    IMPATIENT,
    command_line,
    is_alive,
    running_service,
)
from tests.support.waiting import wait_until

LONG = {"target": {"max_metric_drop": 0.5}, "training": {"epochs": 60}, "seed": 1}


def wait_for(url: str, job_id: str, kind: str) -> None:
    for event in stream(url, job_id):
        if event["type"] == kind:
            return
    raise AssertionError(f"the job ended without {kind}")


def worker_of(service) -> int:
    """Return the worker's main process."""
    return next(number for number in service.processes() if "-m worker" in command_line(number))


def test_a_job_whose_worker_is_killed_succeeds_exactly_once(service, files):
    job = submit(service.url, files, **LONG)
    wait_for(service.url, job["id"], "job.candidate_created")
    killed = worker_of(service)
    os.kill(killed, signal.SIGKILL)
    events = list(stream(service.url, job["id"]))
    kinds = [event["type"] for event in events]
    ended = get_job(service.url, job["id"])
    assert ended["status"] == "succeeded", ended["error"]
    assert ended["attempt"] == 2
    assert kinds.count("job.started") == 2
    assert kinds.count("job.succeeded") == 1
    assert worker_of(service) != killed
    candidates = httpx2.get(f"{service.url}/v1/jobs/{job['id']}/candidates").json()["data"]
    report = httpx2.get(f"{service.url}/v1/jobs/{job['id']}/report").json()
    assert len(candidates) == len(report["candidates"])


def test_a_service_that_is_stopped_leaves_nothing_and_goes_on_where_it_was(tmp_path, files):
    folder = tmp_path / "service"
    with running_service(folder, **IMPATIENT) as service:
        job = submit(service.url, files, **LONG)
        wait_for(service.url, job["id"], "job.progress")
        family = service.processes()
        assert any("valkey" in command_line(number) for number in family)
        assert service.stop(signal.SIGTERM) == 0, service.log.read_text()
        assert not [command_line(number) for number in family if is_alive(number)]
    with running_service(folder, **IMPATIENT) as service:
        assert list(stream(service.url, job["id"]))[-1]["type"] == "job.succeeded"
        assert service.stop(signal.SIGINT) == 0, service.log.read_text()


def test_a_service_that_is_killed_leaves_no_process(tmp_path):
    with running_service(tmp_path, **IMPATIENT) as service:
        wait_until(lambda: any("-m worker" in command_line(one) for one in service.processes()))
        family = service.processes()
        service.process.kill()
        service.process.wait()
        wait_until(lambda: not any(is_alive(number) for number in family), seconds=30)


def test_a_taken_port_is_said_before_anything_starts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "service.cli", "serve", "--port", port]
        ended = subprocess.run(
            [*command, "--data-dir", str(tmp_path / "new")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert port in ended.stderr
    assert not (tmp_path / "new").exists()
