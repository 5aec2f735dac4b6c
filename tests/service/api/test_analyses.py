"""Analyses: asking, watching, listing; jobs and analyses do not mix."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Timer
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.api.analyses.schemas import ModelAnalysis
from tests.support.analyses import ANALYSIS
from tests.support.hand import Hand

Ask = Callable[..., dict[str, Any]]
Work = Callable[[str], Hand]
NODE = {"name": "n", "op_type": "Magic", "domain": "", "opset": 17}


@pytest.fixture
def ask(api: TestClient, inputs: dict[str, str]) -> Ask:
    def ask(**body: Any) -> dict[str, Any]:
        answer = api.post("/v1/analyses", json={"model": inputs["model"]} | body)
        assert answer.status_code == 202, answer.text
        analysis: dict[str, Any] = answer.json()
        return analysis

    return ask


def test_an_analysis_is_accepted_and_can_be_read_where_it_says(
    api: TestClient, inputs: dict[str, str]
) -> None:
    body = {"model": inputs["model"], "target": {"max_macs": 0.5}, "batch_size": 16}

    answer = api.post("/v1/analyses", json=body)

    assert answer.status_code == 202
    analysis = answer.json()
    assert analysis["id"].startswith("ana_")
    assert answer.headers["location"] == f"/v1/analyses/{analysis['id']}"
    assert answer.headers["retry-after"].isdigit()
    assert (analysis["object"], analysis["status"]) == ("analysis", "queued")
    assert analysis["model"] == inputs["model"]
    assert analysis["target"]["max_macs"] == 0.5
    assert analysis["batch_size"] == 16
    assert analysis["queue_position"] == 1
    shown = api.get(answer.headers["location"])
    assert shown.json() == analysis
    assert shown.headers["cache-control"] == "no-store"
    ModelAnalysis.model_validate(analysis)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"target": {"max_macs": -1}}, "#/target/max_macs"),
        ({"target": {"max_mcas": 0.5}}, "#/target/max_mcas"),
        ({"colour": "red"}, "#/colour"),
        ({"model": "mdl_" + "0" * 32}, "#/model"),
        ({"model": None}, "#/model"),
        ({"batch_size": 0}, "#/batch_size"),
        ({"recipe": {}}, "#/dataset"),
        ({"recipe": {"metric": "beauty"}}, "#/recipe/metric"),
    ],
)
def test_an_analysis_that_is_wrong_names_the_field(
    api: TestClient, inputs: dict[str, str], change: dict[str, Any], pointer: str
) -> None:
    answer = api.post("/v1/analyses", json={"model": inputs["model"]} | change)

    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert api.get("/v1/analyses").json()["data"] == []


def test_a_recipe_beside_a_data_set_is_shown_with_every_default(
    api: TestClient, inputs: dict[str, str]
) -> None:
    asked = api.post("/v1/analyses", json={**inputs, "recipe": {"metric": "f1_macro"}}).json()

    shown = api.get(asked["links"]["self"]).json()

    assert shown["recipe"]["metric"] == "f1_macro"
    assert shown["recipe"]["target"]["max_metric_drop"] == 0.01
    assert api.post("/v1/analyses", json=inputs).json()["recipe"] is None
    ModelAnalysis.model_validate(shown)


def test_an_analysis_that_succeeded_carries_its_result(
    api: TestClient, ask: Ask, work: Work
) -> None:
    path = ask()["links"]["self"]
    hand = work(path.rsplit("/", 1)[-1])
    assert api.get(path).json()["status"] == "running"
    hand.analysed(ANALYSIS)

    body = api.get(path).json()

    assert body["status"] == "succeeded"
    assert body["result"] == ANALYSIS
    assert body["error"] is None
    assert body["finished_at"] is not None
    result = ModelAnalysis.model_validate(body).result
    assert result is not None
    assert result.model_dump(mode="json") == ANALYSIS


def test_an_analysis_that_failed_carries_its_problem_and_the_node(
    api: TestClient, ask: Ask, work: Work
) -> None:
    path = ask()["links"]["self"]
    work(path.rsplit("/", 1)[-1]).fail(
        code="unsupported-operator", detail="node 'n': Magic", node=NODE, retryable=False
    )

    body = api.get(path).json()

    assert (body["status"], body["result"]) == ("failed", None)
    error = body["error"]
    assert (error["code"], error["status"]) == ("unsupported-operator", 422)
    assert error["node"] == NODE
    assert error["instance"] == path
    ModelAnalysis.model_validate(body)


def test_a_waiting_read_returns_when_the_analysis_ends(
    api: TestClient, ask: Ask, work: Work
) -> None:
    path = ask()["links"]["self"]
    hand = work(path.rsplit("/", 1)[-1])
    Timer(0.3, hand.analysed, [ANALYSIS]).start()

    started = time.monotonic()
    body = api.get(path, params={"wait": 30}).json()

    assert body["status"] == "succeeded"
    assert time.monotonic() - started < 25


def test_jobs_and_analyses_do_not_mix(
    api: TestClient, ask: Ask, submit: Callable[..., dict[str, Any]]
) -> None:
    job, analysis = submit(), ask()

    assert [one["id"] for one in api.get("/v1/jobs").json()["data"]] == [job["id"]]
    assert [one["id"] for one in api.get("/v1/analyses").json()["data"]] == [analysis["id"]]
    for path in (
        f"/v1/jobs/{analysis['id']}",
        f"/v1/jobs/{analysis['id']}/events",
        f"/v1/jobs/{analysis['id']}/report",
        f"/v1/analyses/{job['id']}",
        f"/v1/analyses/ana_{'0' * 32}",
        "/v1/analyses/nope",
    ):
        answer = api.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), path
    assert api.post(f"/v1/jobs/{analysis['id']}/cancel").status_code == 404
    assert api.get("/v1/analyses", params={"after": job["id"]}).status_code == 422


def test_an_analysis_waits_only_for_analyses(
    api: TestClient, ask: Ask, submit: Callable[..., dict[str, Any]]
) -> None:
    job = submit(priority=100)
    first, second = ask(), ask()

    assert [one["queue_position"] for one in (first, second)] == [1, 2]
    assert api.get(job["links"]["self"]).json()["progress"]["queue_position"] == 3


def test_an_analysis_sent_again_under_its_key_is_the_same_one(
    api: TestClient, inputs: dict[str, str]
) -> None:
    headers, body = {"Idempotency-Key": "a-1"}, {"model": inputs["model"]}

    first = api.post("/v1/analyses", json=body, headers=headers)
    again = api.post("/v1/analyses", json=body, headers=headers)
    other = api.post("/v1/analyses", json=body | {"batch_size": 2}, headers=headers)

    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert other.json()["code"] == "idempotency-key-reused"
    assert len(api.get("/v1/analyses").json()["data"]) == 1


def test_analyses_are_listed_by_page_status_and_model(
    api: TestClient, ask: Ask, work: Work, inputs: dict[str, str]
) -> None:
    ids = [ask()["id"] for _ in range(3)]
    work(ids[0]).analysed(ANALYSIS)

    def listed(**query: object) -> list[str]:
        return [one["id"] for one in api.get("/v1/analyses", params=query).json()["data"]]

    assert listed(limit=2) == ids[:0:-1]
    assert listed(limit=2, after=ids[1]) == [ids[0]]
    assert listed(status="succeeded") == [ids[0]]
    assert listed(model=inputs["model"], order="asc") == ids
    assert api.get("/v1/analyses", params={"status": "cancelled"}).status_code == 422
