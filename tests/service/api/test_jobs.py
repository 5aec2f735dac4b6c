"""Jobs: submitting, watching, listing, cancelling."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from threading import Timer
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.api.jobs.schemas import Job
from tests.support.hand import Hand

Submit = Callable[..., dict[str, Any]]
Work = Callable[[str], Hand]


def test_a_job_is_accepted_and_can_be_read_where_it_says(
    api: TestClient, inputs: dict[str, str]
) -> None:
    body = {**inputs, "recipe": {"target": {"max_macs": 0.5}}, "metadata": {"run": "7"}}

    answer = api.post("/v1/jobs", json=body)

    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["retry-after"].isdigit()
    assert job["status"] == "queued"
    assert job["progress"]["queue_position"] == 1
    assert job["recipe"]["target"]["max_macs"] == 0.5
    assert job["recipe"]["training"]["epochs"] > 0
    assert job["metadata"] == {"run": "7"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["created_at"])
    assert api.get(answer.headers["location"]).json() == job
    Job.model_validate(job)


def test_the_queue_position_counts_those_that_wait_before(submit: Submit, api: TestClient) -> None:
    first, second = submit(), submit()

    assert api.get(first["links"]["self"]).json()["progress"]["queue_position"] == 1
    assert api.get(second["links"]["self"]).json()["progress"]["queue_position"] == 2


def test_a_sparse_job_is_taken_with_its_density_filled_in(
    api: TestClient, inputs: dict[str, str]
) -> None:
    recipe = {"method": "sparse", "sparse": {"pattern": "2:4"}}
    answer = api.post("/v1/jobs", json={**inputs, "recipe": recipe})

    assert answer.status_code == 202, answer.text
    assert answer.json()["recipe"]["target"]["density"] == 0.5
    assert answer.json()["recipe"]["sparse"]["distribution"] == "uniform"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"recipe": {"target": {"max_macs": -1}}}, "#/recipe/target/max_macs"),
        ({"recipe": {"target": {"max_mcas": 0.5}}}, "#/recipe/target/max_mcas"),
        ({"recipe": {"method": "magic"}}, "#/recipe/method"),
        ({"recipe": {"method": "sparse", "sparse": {"pattern": "2:"}}}, "#/recipe/sparse/pattern"),
        ({"recipe": {"method": "sparse", "target": {"density": 2}}}, "#/recipe/target/density"),
        ({"colour": "red"}, "#/colour"),
        ({"model": "mdl_" + "0" * 32}, "#/model"),
        ({"dataset": "../../etc/passwd"}, "#/dataset"),
        ({"metadata": {"a": 1}}, "#/metadata/a"),
        ({"metadata": {"a": "\x00"}}, "#/metadata/a"),
        ({"metadata": {str(n): "" for n in range(17)}}, "#/metadata"),
        ({"limits": {"max_runtime_seconds": 0}}, "#/limits/max_runtime_seconds"),
        ({"priority": 1e9}, "#/priority"),
    ],
)
@pytest.mark.parametrize("query", ["", "?validate_only=true"])
def test_a_job_that_is_wrong_names_the_field(
    api: TestClient, inputs: dict[str, str], change: dict[str, Any], pointer: str, query: str
) -> None:
    answer = api.post(f"/v1/jobs{query}", json=inputs | change)

    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert api.get("/v1/jobs").json()["data"] == []
    assert api.get("/v1/analyses").json()["data"] == []


def test_numbers_that_json_lacks_are_refused(api: TestClient, inputs: dict[str, str]) -> None:
    body = f'{{"model":"{inputs["model"]}","dataset":"{inputs["dataset"]}","recipe":%s}}'
    headers = {"Content-Type": "application/json"}

    for recipe in ('{"target":{"max_macs":Infinity}}', '{"training":{"weight_decay":NaN}}'):
        answer = api.post("/v1/jobs", content=body % recipe, headers=headers)
        assert answer.status_code == 422


def test_a_running_job_shows_its_stage_and_progress(
    api: TestClient, submit: Submit, work: Work
) -> None:
    job = submit()
    work(job["id"]).progress(0.25, eta_seconds=9.5, metrics={"loss": 1.5})

    shown = api.get(job["links"]["self"])

    assert shown.headers["cache-control"] == "no-store"
    body = shown.json()
    assert (body["status"], body["stage"], body["attempt"]) == ("running", "training", 1)
    assert body["progress"]["fraction"] == 0.25
    assert body["progress"]["eta_seconds"] == 9.5
    assert body["progress"]["metrics"] == {"loss": 1.5}
    assert body["progress"]["queue_position"] is None
    assert body["started_at"] is not None
    Job.model_validate(body)


def test_a_failed_job_carries_its_problem(api: TestClient, submit: Submit, work: Work) -> None:
    job = submit()
    work(job["id"]).fail(
        code="dataset-mismatch", detail="x_train is 3-D", pointer="#/x_train", retryable=False
    )

    body = api.get(job["links"]["self"]).json()

    assert body["status"] == "failed"
    error = body["error"]
    assert (error["code"], error["status"]) == ("dataset-mismatch", 422)
    assert error["errors"] == [{"detail": "x_train is 3-D", "pointer": "#/x_train"}]
    assert error["instance"] == job["links"]["self"]
    Job.model_validate(body)


def test_a_waiting_read_returns_when_the_job_ends(
    api: TestClient, submit: Submit, work: Work
) -> None:
    job = submit()
    hand = work(job["id"])
    Timer(0.3, hand.cancelled).start()

    started = time.monotonic()
    body = api.get(job["links"]["self"], params={"wait": 60}).json()

    assert body["status"] == "cancelled"
    assert time.monotonic() - started < 30


def test_a_waiting_read_returns_in_time_when_the_job_does_not_end(
    api: TestClient, submit: Submit
) -> None:
    started = time.monotonic()
    body = api.get(submit()["links"]["self"], params={"wait": 0.3}).json()

    assert body["status"] == "queued"
    assert 0.3 <= time.monotonic() - started < 15


def test_a_queued_job_is_cancelled_at_once_and_again(api: TestClient, submit: Submit) -> None:
    path = submit()["links"]["cancel"]

    first, again = api.post(path), api.post(path)

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["status"] == again.json()["status"] == "cancelled"


def test_a_running_job_is_asked_to_stop(api: TestClient, submit: Submit, work: Work) -> None:
    job = submit()
    hand = work(job["id"])

    assert api.post(job["links"]["cancel"]).json()["status"] == "cancelling"
    assert api.post(job["links"]["cancel"]).status_code == 200
    hand.cancelled()
    assert api.get(job["links"]["self"]).json()["status"] == "cancelled"


def test_a_job_that_has_ended_cannot_be_cancelled(
    api: TestClient, submit: Submit, work: Work
) -> None:
    job = submit()
    work(job["id"]).fail(code="internal", detail="?")

    answer = api.post(job["links"]["cancel"])

    assert answer.status_code == 409
    assert answer.json()["code"] == "job-terminal"


def test_a_job_sent_again_under_its_key_is_the_same_job(
    api: TestClient, inputs: dict[str, str]
) -> None:
    first = api.post("/v1/jobs", json=inputs, headers={"Idempotency-Key": '"k-1"'})
    bare = api.post("/v1/jobs", json=inputs, headers={"Idempotency-Key": "k-1"})
    other = api.post("/v1/jobs", json=inputs | {"priority": 1}, headers={"Idempotency-Key": "k-1"})

    assert bare.json() == first.json()
    assert bare.status_code == 202
    assert bare.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len(api.get("/v1/jobs").json()["data"]) == 1


def test_a_key_that_is_none_is_refused(api: TestClient, inputs: dict[str, str]) -> None:
    answer = api.post("/v1/jobs", json=inputs, headers={"Idempotency-Key": '"'})

    assert answer.json()["errors"][0]["pointer"] == "#/idempotency-key"


def test_a_refused_job_does_not_use_its_key_up(api: TestClient, inputs: dict[str, str]) -> None:
    headers = {"Idempotency-Key": "k-2"}

    refused = api.post("/v1/jobs", json=inputs | {"model": "mdl_" + "0" * 32}, headers=headers)
    accepted = api.post("/v1/jobs", json=inputs, headers=headers)

    assert (refused.status_code, accepted.status_code) == (422, 202)


def test_pages_follow_each_other_by_their_links(api: TestClient, submit: Submit) -> None:
    ids = [submit()["id"] for _ in range(5)]
    seen, url = [], "/v1/jobs?limit=2"

    while url:
        answer = api.get(url)
        seen += [job["id"] for job in answer.json()["data"]]
        assert answer.json()["has_more"] == ("next" in answer.links)
        url = answer.links.get("next", {}).get("url", "")

    assert seen == ids[::-1]


def test_lists_go_either_way_and_clamp_their_limit(api: TestClient, submit: Submit) -> None:
    ids = [submit()["id"] for _ in range(3)]

    page = api.get("/v1/jobs", params={"order": "asc", "limit": 10**6, "after": ids[0]}).json()

    assert [job["id"] for job in page["data"]] == ids[1:]
    assert (page["first_id"], page["last_id"]) == (ids[1], ids[2])
    assert page["object"] == "list"


def test_lists_are_filtered_by_status_model_and_metadata(
    api: TestClient, submit: Submit, work: Work, inputs: dict[str, str]
) -> None:
    plain, marked = submit(), submit(metadata={"team": "vision", "run": "1"})
    work(marked["id"])

    def listed(**query: str) -> list[str]:
        return [job["id"] for job in api.get("/v1/jobs", params=query).json()["data"]]

    assert listed(status="running") == [marked["id"]]
    assert listed(status="queued") == [plain["id"]]
    assert listed(model=inputs["model"]) == [marked["id"], plain["id"]]
    assert listed(model="mdl_" + "0" * 32) == []
    assert listed(**{"metadata[team]": "vision"}) == [marked["id"]]
    assert listed(**{"metadata[team]": "vision", "metadata[run]": "2"}) == []
    assert listed(**{"metadata[te'am]": "x"}) == []
