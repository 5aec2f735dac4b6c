"""`validate_only`: what a worker finds of the data is the answer, and nothing is submitted."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from threading import Timer
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.api.analyses import reuse
from service.api.jobs.schemas import JobValidation
from service.store.jobs.repository import JobRepository
from tests.support.analyses import DATA_CHECK, WITH_DATA
from tests.support.hand import Hand

Work = Callable[[str], Hand]
Validate = Callable[..., Any]
AT_ONCE = {"Prefer": "wait=0"}


@pytest.fixture
def validate(api: TestClient, inputs: dict[str, str]) -> Validate:
    def validate(headers: dict[str, str] = AT_ONCE, **body: Any) -> Any:
        return api.post("/v1/jobs?validate_only=true", json=inputs | body, headers=headers)

    return validate


def test_without_a_worker_it_is_pending_with_the_recipe_as_executed(
    api: TestClient, validate: Validate
) -> None:
    answer = validate()

    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["data"]) == ("pending", None)
    assert body["recipe"]["target"]["max_metric_drop"] == 0.01
    assert answer.headers["retry-after"].isdigit()
    assert answer.headers["preference-applied"] == "wait=0"
    assert api.get(body["links"]["analysis"]).json()["status"] == "queued"
    assert api.get("/v1/jobs").json()["data"] == []
    JobValidation.model_validate(body)


def test_while_pending_it_says_what_it_waits_for_and_where_to_look(
    validate: Validate, work: Work, submit: Callable[..., dict[str, Any]]
) -> None:
    """A compression that was submitted before does not come before it."""
    submit()
    queued = validate().json()
    work(queued["analysis"])
    running = validate()

    assert "a worker that is free" in queued["waiting_for"]
    assert "as number 1 in the queue" in queued["waiting_for"]
    assert "/readyz" in queued["waiting_for"]
    assert "the worker that is looking at the data" in running.json()["waiting_for"]
    assert running.headers["retry-after"].isdigit()
    for body in (queued, running.json()):
        assert body["links"]["analysis"] in body["waiting_for"]


def test_what_was_looked_at_waits_for_nothing(validate: Validate, work: Work) -> None:
    work(validate().json()["analysis"]).analysed(WITH_DATA)
    assert validate().json()["waiting_for"] is None


def test_who_asks_again_finds_the_same_analysis_and_what_it_found(
    validate: Validate, work: Work
) -> None:
    first = validate().json()
    assert validate().json()["analysis"] == first["analysis"]
    work(first["analysis"]).analysed(WITH_DATA)

    body = validate().json()

    assert (body["analysis"], body["status"]) == (first["analysis"], "checked")
    assert body["data"] == DATA_CHECK
    JobValidation.model_validate(body)


def test_it_waits_for_a_worker_as_long_as_is_preferred(validate: Validate, work: Work) -> None:
    hand = work(validate().json()["analysis"])
    started = time.monotonic()
    assert validate({"Prefer": "wait=1"}).json()["status"] == "pending"
    assert time.monotonic() - started >= 1
    Timer(0.3, hand.analysed, [WITH_DATA]).start()

    body = validate({"Prefer": "wait=50"}).json()

    assert body["status"] == "checked"
    assert time.monotonic() - started < 25


def test_the_job_s_error_is_the_answer(validate: Validate, work: Work) -> None:
    analysis = validate().json()["analysis"]
    work(analysis).fail(
        code="dataset-mismatch", detail="turned by 3", pointer="#/labels/classes", retryable=False
    )

    answer = validate()

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["detail"]) == ("dataset-mismatch", "turned by 3")
    assert problem["errors"] == [{"detail": "turned by 3", "pointer": "#/labels/classes"}]
    assert problem["instance"] == f"/v1/analyses/{analysis}"
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_what_says_only_how_to_train_shares_an_analysis_and_all_else_does_not(
    validate: Validate,
) -> None:
    def analysis(**recipe: Any) -> str:
        return str(validate(recipe=recipe).json()["analysis"])

    plain = analysis()

    assert analysis(training={"epochs": 3, "learning_rate": 0.1}) == plain
    others = [
        analysis(metric="f1_macro"),
        analysis(task="classification"),
        analysis(labels={"classes": [1, 0]}),
        analysis(target={"max_macs": 0.5}),
        analysis(allow_poor_original=True),
        analysis(seen_by_original=True),
        analysis(seed=1),
    ]
    assert len({plain, *others}) == 1 + len(others)


def test_another_data_set_is_another_analysis(
    api: TestClient, validate: Validate, inputs: dict[str, str]
) -> None:
    other = api.post("/v1/datasets", files={"file": ("data.csv", b"x,y\n1,0\n")}).json()["id"]

    assert validate(dataset=other).json()["analysis"] != validate().json()["analysis"]


def test_what_went_wrong_on_the_machine_is_told_and_tried_anew_later(
    validate: Validate, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = validate().json()["analysis"]
    work(analysis).fail(code="out-of-memory", detail="no room", retryable=False)

    assert (validate().status_code, validate().json()["code"]) == (500, "out-of-memory")

    monkeypatch.setattr(reuse, "REMEMBERED", timedelta(0))
    assert validate().json()["status"] == "pending"
    assert validate().json()["analysis"] != analysis


def test_a_job_for_a_gpu_is_looked_at_where_it_would_run(
    api: TestClient, validate: Validate
) -> None:
    analysis = validate(recipe={"training": {"device": "cuda"}}).json()["analysis"]

    with api.app.state.application.database.read() as session:  # type: ignore[attr-defined]
        jobs = JobRepository(session)
        assert (jobs.next_queued(["gpu"]), jobs.next_queued(["cpu"])) == (analysis, None)
