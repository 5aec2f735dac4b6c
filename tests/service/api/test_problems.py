"""Whatever fails, fails as RFC 9457 problem details."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from service.api.problems.schemas import Problem
from service.errors import CATALOGUE


@pytest.mark.parametrize(
    ("method", "path", "send", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "not-found"),
        ("GET", "/v1/jobs/job_unknown", {}, 404, "not-found"),
        ("GET", "/v1/models/../../etc/passwd", {}, 404, "not-found"),
        ("DELETE", "/v1/jobs", {}, 405, "method-not-allowed"),
        ("GET", "/v1/jobs?limit=no", {}, 422, "invalid-request"),
        ("GET", "/v1/jobs?colour=red", {}, 422, "invalid-request"),
        ("GET", "/v1/jobs?after=../x", {}, 422, "invalid-request"),
        ("POST", "/v1/jobs", {"content": b"{"}, 422, "invalid-request"),
        ("POST", "/v1/jobs", {"content": b"[" * 100_000}, 422, "invalid-request"),
        ("POST", "/v1/jobs", {"content": b'{"\\ud800":1}'}, 422, "invalid-request"),
        ("POST", "/v1/jobs", {"content": b" " * (2 << 20)}, 413, "request-too-large"),
    ],
)
def test_every_failure_is_a_problem(
    api: TestClient, method: str, path: str, send: dict[str, object], status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json", "X-Request-Id": "req-7"}

    answer = api.request(method, path, headers=headers, **send)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate(answer.json())
    assert (problem.status, problem.code) == (status, code)
    assert problem.type.endswith(f"/problems/{code}")
    assert problem.request_id == "req-7"
    assert problem.title
    assert problem.detail


@pytest.mark.parametrize("content", [b"{", b"[]", b'"text"'])
def test_a_body_that_is_no_object_is_called_body(api: TestClient, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert api.post("/v1/jobs", content=content, headers=headers).json()["detail"][:6] == "body: "


def test_a_problem_type_leads_to_a_page_that_explains_it(api: TestClient) -> None:
    problem = api.get("/nowhere").json()

    page = api.get(problem["type"])

    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert problem["title"] in page.text


def test_every_code_of_the_catalogue_is_explained(api: TestClient) -> None:
    for code in CATALOGUE:
        page = api.get(f"/problems/{code}")
        assert page.status_code == 200, code
        assert f"<code>{code}</code>" in page.text
        assert "</p>" in page.text.rsplit("HTTP", 1)[1]
        assert not page.text.rstrip().endswith("<p></p></html>"), f"{code} has no explanation"


def test_a_failure_that_nobody_foresaw_is_a_problem_too(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("the disk is on fire at /secret/path")

    monkeypatch.setattr("service.api.models.service.find", broken)

    answer = api.get("/v1/models")

    assert answer.status_code == 500
    problem = answer.json()
    assert problem["code"] == "internal"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text


def test_a_request_id_is_made_where_none_or_a_bad_one_is_given(api: TestClient) -> None:
    made = api.get("/healthz").headers["x-request-id"]
    replaced = api.get("/healthz", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"]

    assert len(made) == 32
    assert len(replaced) == 32


@pytest.mark.parametrize(
    ("path", "allowed"), [("/v1/jobs", "GET, HEAD, POST"), ("/v1/jobs/job_x/cancel", "POST")]
)
def test_a_wrong_method_is_told_the_right_ones(api: TestClient, path: str, allowed: str) -> None:
    assert api.put(path).headers["allow"] == allowed
