"""Over a real connection: uploads in constant memory, broken uploads, event streams, shutdown."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest

from service.api.app import make_application
from service.settings import Settings
from tests.support.hand import Hand
from tests.support.running_api import NO_BROKER, RunningApi, running_api
from tests.support.waiting import wait_until

MEBIBYTE = 1 << 20
RAW = {"Content-Type": "application/octet-stream"}
BOUNDARY = "a-boundary"
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="big.npz"\r\n\r\n'
).encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def http(server: RunningApi) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        yield client


def blocks(count: int, seed: bytes) -> Iterator[bytes]:
    """Yield `count` mebibytes that no store has seen."""
    for number in range(count):
        yield hashlib.sha256(seed + str(number).encode()).digest() * (MEBIBYTE // 32)


def as_form(body: Iterator[bytes]) -> Iterator[bytes]:
    yield HEAD
    yield from body
    yield TAIL


@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
def test_a_large_upload_takes_no_more_memory_than_a_small_one(
    server: RunningApi, http: httpx2.Client, form: bool
) -> None:
    seed = b"form" if form else b"raw"
    kind = f"multipart/form-data; boundary={BOUNDARY}" if form else "application/octet-stream"
    wrap = as_form if form else iter
    headers = {"Content-Type": kind}
    http.post("/v1/datasets", content=wrap(blocks(1, seed)), headers=headers)
    before = server.memory_bytes()

    answer = http.post("/v1/datasets", content=wrap(blocks(200, seed)), headers=headers)

    assert answer.status_code == 201
    grown = server.memory_bytes() - before
    assert grown < 40 * MEBIBYTE
    digest = hashlib.sha256()
    for block in blocks(200, seed):
        digest.update(block)
    assert answer.json()["sha256"] == digest.hexdigest()
    assert answer.json()["size_bytes"] == 200 * MEBIBYTE


@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
def test_an_upload_that_breaks_off_leaves_nothing_behind(
    server: RunningApi, http: httpx2.Client, form: bool
) -> None:
    before = set(server.stored_files())
    kind = f"multipart/form-data; boundary={BOUNDARY}" if form else "application/octet-stream"
    head = f"POST /v1/models HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
    address = httpx2.URL(server.url)
    with socket.create_connection((address.host, address.port)) as connection:
        connection.sendall(f"{head}Content-Length: {8 * MEBIBYTE}\r\n\r\n".encode())
        connection.sendall((HEAD if form else b"") + b"x" * 4 * MEBIBYTE)
        wait_until(lambda: set(server.stored_files()) != before)

    wait_until(lambda: set(server.stored_files()) == before)
    assert http.get("/healthz").status_code == 200


def test_an_upload_that_is_announced_as_too_large_is_refused_before_it_is_sent(
    tmp_path: Path,
) -> None:
    with running_api(tmp_path, max_upload_bytes=MEBIBYTE) as server:
        address = httpx2.URL(server.url)
        with socket.create_connection((address.host, address.port), timeout=30) as connection:
            head = "POST /v1/models HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream"
            connection.sendall(f"{head}\r\nContent-Length: {2 * MEBIBYTE}\r\n\r\n".encode())

            assert b" 413 " in connection.recv(64)


@pytest.fixture
def job(http: httpx2.Client) -> dict[str, Any]:
    model = http.post("/v1/models", content=b"model", headers=RAW).json()["id"]
    dataset = http.post("/v1/datasets", content=b"data", headers=RAW).json()["id"]
    made: dict[str, Any] = http.post("/v1/jobs", json={"model": model, "dataset": dataset}).json()
    return made


def hand_of(server: RunningApi, job: dict[str, Any]) -> Hand:
    settings = Settings(data_dir=server.data_dir, broker_url=NO_BROKER)
    return Hand(make_application(settings), job["id"])


def test_a_stream_brings_events_as_they_happen(
    server: RunningApi, http: httpx2.Client, job: dict[str, Any]
) -> None:
    hand = hand_of(server, job)
    seen: list[str] = []

    def listen() -> None:
        with http.sse("/v1/jobs/" + job["id"] + "/events") as source:
            for message in source:
                if message.data:
                    seen.append(json.loads(message.data)["type"])

    listener = Thread(target=listen)
    listener.start()
    wait_until(lambda: len(seen) == 1)
    hand.claim()
    hand.tell("job.warning", "few rows")
    # Long before the next heartbeat, and while the job goes on.
    wait_until(lambda: seen[-1] == "job.warning", seconds=10)
    hand.fail(code="internal", detail="?")
    listener.join(timeout=30)

    assert not listener.is_alive()
    assert seen[0] == "job.queued"
    assert seen[-1] == "job.failed"


def test_a_server_with_an_open_stream_and_a_waiting_read_stops_in_seconds(tmp_path: Path) -> None:
    with running_api(tmp_path) as server, httpx2.Client(base_url=server.url, timeout=60) as http:
        model = http.post("/v1/models", content=b"model", headers=RAW).json()["id"]
        dataset = http.post("/v1/datasets", content=b"data", headers=RAW).json()["id"]
        body = {"model": model, "dataset": dataset}
        links = http.post("/v1/jobs", json=body).json()["links"]
        address = httpx2.URL(server.url)
        with (
            http.sse(links["events"]) as source,
            socket.create_connection((address.host, address.port), timeout=30) as waiting,
        ):
            messages = iter(source)
            next(messages)
            waiting.sendall(f"GET {links['self']}?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            # Reads are answered in the order in which they come: the one before this one waits by now.
            assert http.get(links["self"]).status_code == 200
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(timeout=20)
            assert b" 200 " in waiting.recv(64)

        # Neither had to be cut off when uvicorn's patience was over.
        assert "graceful shutdown exceeded" not in (tmp_path / "api.log").read_text()


def test_one_request_sent_many_times_at_once_is_one_job(
    server: RunningApi, http: httpx2.Client, job: dict[str, Any]
) -> None:
    body = {"model": job["model"], "dataset": job["dataset"], "metadata": {"race": "1"}}
    headers = {"Idempotency-Key": "race"}
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(http.post, "/v1/jobs", json=body, headers=headers) for _ in range(8)]
        answers = [one.result() for one in sent]

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    jobs = http.get("/v1/jobs", params={"metadata[race]": "1"}).json()["data"]
    assert len(jobs) == 1


def test_what_can_be_got_can_be_asked_about(http: httpx2.Client, job: dict[str, Any]) -> None:
    file = http.get(f"/v1/models/{job['model']}").json()["links"]["file"]

    asked, got = http.head(file), http.get(file)

    assert (asked.status_code, asked.content) == (200, b"")
    for header in ("content-length", "etag", "repr-digest", "content-disposition"):
        assert asked.headers[header] == got.headers[header]
    stream = http.head(job["links"]["events"], headers={"Accept": "text/event-stream"}, timeout=30)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert http.head("/v1/nowhere").status_code == 404
    assert http.head(job["links"]["cancel"]).status_code == 405


def test_a_file_that_grows_over_the_limit_is_refused_on_the_way(tmp_path: Path) -> None:
    with (
        running_api(tmp_path, max_upload_bytes=MEBIBYTE) as server,
        httpx2.Client(base_url=server.url, timeout=30) as http,
    ):
        answer = http.post("/v1/models", content=blocks(8, b"grows"), headers=RAW)

        assert answer.status_code == 413
        assert server.stored_files() == []
