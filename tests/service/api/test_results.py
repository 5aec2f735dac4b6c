"""Candidates, the chosen model and the report."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.api.candidates.schemas import CandidateList
from tests.support.hand import Hand

Submit = Callable[..., dict[str, Any]]
Work = Callable[[str], Hand]
MODEL = bytes(range(256)) * 40
REPORT = b'{"schema_version":"1.0"}'


@pytest.fixture
def done(api: TestClient, submit: Submit, work: Work) -> dict[str, Any]:
    """A job that succeeded with two candidates, the narrow one chosen."""
    job = submit()
    hand = work(job["id"])
    hand.candidate(b"wide", 40)
    chosen = hand.candidate(MODEL, 10)
    hand.succeed(
        chosen,
        report_json_sha256=hand.store(REPORT),
        report_html_sha256=hand.store(b"<!doctype html>report"),
        report_csv_sha256=hand.store(b"layer,index\n"),
    )
    body: dict[str, Any] = api.get(job["links"]["self"]).json()
    return body


def test_candidates_are_listed_from_wide_to_narrow(api: TestClient, done: dict[str, Any]) -> None:
    answer = api.get(done["links"]["candidates"])

    page = CandidateList.model_validate(answer.json())
    assert [candidate.nodes for candidate in page.data] == [40, 10]
    assert [candidate.chosen for candidate in page.data] == [False, True]
    assert page.data[1].sha256 == hashlib.sha256(MODEL).hexdigest()
    assert api.get(page.data[0].links.model).content == b"wide"


def test_the_chosen_model_comes_with_its_digest_and_a_name(
    api: TestClient, done: dict[str, Any]
) -> None:
    answer = api.get(done["links"]["model"])

    assert done["outcome"] == "target_met"
    assert answer.content == MODEL
    assert answer.headers["content-type"] == "application/octet-stream"
    digest = base64.b64encode(hashlib.sha256(MODEL).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["etag"] == f'"{hashlib.sha256(MODEL).hexdigest()}"'
    assert 'filename="net-eigenpress.onnx"' in answer.headers["content-disposition"]
    assert int(answer.headers["content-length"]) == len(MODEL)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=10000-", slice(10000, None)),
        ("bytes=-5", slice(-5, None)),
        ("bytes=10230-99999", slice(10230, None)),
    ],
)
def test_a_part_of_a_model_can_be_asked_for(
    api: TestClient, done: dict[str, Any], asked: str, expected: slice
) -> None:
    answer = api.get(done["links"]["model"], headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.content == MODEL[expected]
    first = expected.indices(len(MODEL))[0]
    last = first + len(answer.content) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(MODEL)}"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=0-1,5-6", "pages=1-2", "bytes=-"])
def test_a_range_that_is_not_one_range_of_bytes_brings_the_whole(
    api: TestClient, done: dict[str, Any], asked: str
) -> None:
    answer = api.get(done["links"]["model"], headers={"Range": asked})

    assert (answer.status_code, answer.content) == (200, MODEL)


def test_a_range_beyond_the_end_is_refused(api: TestClient, done: dict[str, Any]) -> None:
    answer = api.get(done["links"]["model"], headers={"Range": "bytes=20000-"})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(MODEL)}"
    assert answer.json()["code"] == "range-not-satisfiable"


def test_a_range_of_what_has_changed_brings_the_whole(
    api: TestClient, done: dict[str, Any]
) -> None:
    headers = {"Range": "bytes=0-9", "If-Range": '"other"'}

    assert api.get(done["links"]["model"], headers=headers).content == MODEL


def test_a_file_that_the_client_has_is_not_sent_again(
    api: TestClient, done: dict[str, Any]
) -> None:
    tag = api.get(done["links"]["model"]).headers["etag"]

    answer = api.get(done["links"]["model"], headers={"If-None-Match": f'"x", {tag}'})

    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        ("", "*/*", "application/json"),
        ("", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("?format=html", "application/json", "text/html; charset=utf-8"),
        ("?format=csv", "*/*", "text/csv; charset=utf-8"),
        ("?format=json", "text/html", "application/json"),
    ],
)
def test_the_report_comes_as_it_is_asked_for(
    api: TestClient, done: dict[str, Any], query: str, accept: str, media_type: str
) -> None:
    answer = api.get(done["links"]["report"] + query, headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["vary"] == "Accept"


def test_the_report_page_runs_in_an_origin_of_its_own(
    api: TestClient, done: dict[str, Any]
) -> None:
    policy = api.get(done["links"]["report"] + "?format=html").headers["content-security-policy"]

    assert "sandbox" in policy
    assert "allow-same-origin" not in policy


def test_a_format_that_is_none_is_refused(api: TestClient, done: dict[str, Any]) -> None:
    answer = api.get(done["links"]["report"] + "?format=pdf")

    assert answer.json()["errors"][0]["pointer"] == "#/format"


@pytest.mark.parametrize("part", ["model", "report"])
def test_a_result_is_not_ready_while_the_job_is_at_work(
    api: TestClient, submit: Submit, part: str
) -> None:
    job = submit()

    answer = api.get(job["links"][part])

    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["code"], problem["retryable"]) == ("result-not-ready", True)
    assert "is queued and has no" in problem["detail"]
    assert answer.headers["retry-after"].isdigit()


@pytest.mark.parametrize("part", ["model", "report"])
def test_a_failed_job_has_no_result(api: TestClient, submit: Submit, work: Work, part: str) -> None:
    job = submit()
    work(job["id"]).fail(code="diverged", detail="?")

    answer = api.get(job["links"][part])

    assert answer.status_code == 404
    assert "ended as failed" in answer.json()["detail"]


def test_a_cancelled_job_hands_out_the_best_that_it_had_found(
    api: TestClient, submit: Submit, work: Work
) -> None:
    job = submit()
    hand = work(job["id"])
    hand.candidate(b"wide", nodes=9)
    narrow = hand.candidate(b"narrow", nodes=3)
    api.post(job["links"]["cancel"])
    hand.cancelled()

    ended = api.get(job["links"]["self"]).json()

    assert (ended["status"], ended["outcome"]) == ("cancelled", None)
    assert ended["chosen_candidate"] == narrow
    assert api.get(job["links"]["model"]).content == b"narrow"
    assert api.get(job["links"]["report"]).status_code == 404


def test_a_candidate_of_another_job_is_not_found(
    api: TestClient, done: dict[str, Any], submit: Submit
) -> None:
    other = submit()
    path = f"{other['links']['candidates']}/{done['chosen_candidate']}/model"

    assert api.get(path).status_code == 404
    assert api.get(f"{other['links']['candidates']}/..%2f..%2fx/model").status_code == 404


def test_files_beside_a_model_are_listed_and_come_under_their_names(
    api: TestClient, submit: Submit, work: Work
) -> None:
    job = submit()
    hand = work(job["id"])
    hand.candidate(b"wide", 40, **{"w.data": b"wide weights"})
    hand.succeed(hand.candidate(MODEL, 10, **{"n.data": b"narrow weights"}))

    page = CandidateList.model_validate(api.get(job["links"]["candidates"]).json())

    assert [[file.name for file in one.external] for one in page.data] == [["w.data"], ["n.data"]]
    wide, chosen = page.data
    assert api.get(f"{wide.links.model}/external/w.data").content == b"wide weights"
    answer = api.get(f"{job['links']['model']}/external/n.data", headers={"Range": "bytes=7-"})
    assert (answer.status_code, answer.content) == (206, b"weights")
    assert answer.headers["etag"] == f'"{chosen.external[0].sha256}"'
    assert 'filename="n.data"' in answer.headers["content-disposition"]


def test_a_file_that_does_not_lie_beside_the_model_is_not_found(
    api: TestClient, submit: Submit, work: Work
) -> None:
    job = submit()
    assert api.get(f"{job['links']['model']}/external/n.data").status_code == 409
    hand = work(job["id"])
    wide = hand.candidate(b"wide", 40, **{"w.data": b"wide weights"})
    hand.succeed(hand.candidate(MODEL, 10))

    for path in (
        f"{job['links']['model']}/external/w.data",
        f"{job['links']['candidates']}/{wide}/model/external/other",
        f"{job['links']['candidates']}/{wide}/model/external/..%2fw.data",
    ):
        assert api.get(path).status_code == 404
