"""An API over a real SQLite file and a real folder, without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.api.app import create_app
from service.settings import Settings
from tests.support.hand import Hand
from tests.support.running_api import NO_BROKER

RAW = {"Content-Type": "application/octet-stream"}


def served(data_dir: Path, **settings: Any) -> Iterator[TestClient]:
    app = create_app(Settings(data_dir=data_dir, broker_url=NO_BROKER, **settings))
    with TestClient(app) as client:
        yield client


@pytest.fixture
def api(tmp_path: Path) -> Iterator[TestClient]:
    yield from served(tmp_path)


@pytest.fixture
def small_api(tmp_path: Path) -> Iterator[TestClient]:
    yield from served(tmp_path, max_upload_bytes=1024)


@pytest.fixture
def inputs(api: TestClient) -> dict[str, str]:
    """A model and a data set to make jobs of."""
    model = api.post("/v1/models", files={"file": ("net.onnx", b"a model")}).json()
    dataset = api.post("/v1/datasets", files={"file": ("data.csv", b"x,y\n1,0\n")}).json()
    return {"model": model["id"], "dataset": dataset["id"]}


@pytest.fixture
def submit(api: TestClient, inputs: dict[str, str]) -> Callable[..., dict[str, Any]]:
    def submit(**body: Any) -> dict[str, Any]:
        answer = api.post("/v1/jobs", json=inputs | body)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    return submit


@pytest.fixture
def work(api: TestClient) -> Callable[[str], Hand]:
    """Claim a job as a worker does."""
    return lambda job_id: Hand(api.app.state.application, job_id).claim()
