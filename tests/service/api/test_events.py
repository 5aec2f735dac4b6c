"""What happened to a job, as pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.testclient import TestClient

from service.api.events.schemas import EventPage
from tests.support.hand import Hand

Submit = Callable[..., dict[str, Any]]
Work = Callable[[str], Hand]


def test_events_are_numbered_from_one(api: TestClient, submit: Submit, work: Work) -> None:
    job = submit()
    hand = work(job["id"])
    hand.tell("job.warning", "few rows", rows=12)
    hand.fail(code="internal", detail="?")

    page = EventPage.model_validate(api.get(job["links"]["events"]).json())

    assert [event.sequence for event in page.data] == list(range(1, len(page.data) + 1))
    kinds = [event.type for event in page.data]
    assert kinds[0] == "job.queued"
    assert kinds[-1] == "job.failed"
    warning = page.data[kinds.index("job.warning")]
    assert (warning.message, warning.data) == ("few rows", {"rows": 12})
    assert page.job_ended


def test_events_come_page_by_page(api: TestClient, submit: Submit, work: Work) -> None:
    job = submit()
    hand = work(job["id"])
    for number in range(5):
        hand.tell("job.metrics", str(number))
    seen, url = [], f"{job['links']['events']}?limit=2"

    while url:
        answer = api.get(url)
        seen += [event["sequence"] for event in answer.json()["data"]]
        url = answer.links.get("next", {}).get("url", "")

    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= 6


def test_a_page_after_the_last_event_is_empty_and_keeps_its_place(
    api: TestClient, submit: Submit
) -> None:
    page = api.get(submit()["links"]["events"], params={"after": 50}).json()

    assert (page["data"], page["last_sequence"], page["has_more"]) == ([], 50, False)
    assert not page["job_ended"]


def test_a_stream_of_an_ended_job_tells_all_and_ends(
    api: TestClient, submit: Submit, work: Work
) -> None:
    job = submit()
    work(job["id"]).fail(code="internal", detail="?")

    answer = api.get(job["links"]["events"], headers={"Accept": "text/event-stream"})

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    blocks = answer.text.strip().split("\n\n")
    assert blocks[0] == "retry: 3000"
    assert blocks[1].startswith("id: 1\nevent: job.queued\ndata: {")
    assert "event: job.failed" in blocks[-1]


def test_a_stream_goes_on_where_it_broke_off(api: TestClient, submit: Submit, work: Work) -> None:
    job = submit()
    work(job["id"]).fail(code="internal", detail="?")
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "1"}

    by_header = api.get(job["links"]["events"], headers=headers)
    by_query = api.get(
        job["links"]["events"], params={"after": 1}, headers={"Accept": "text/event-stream"}
    )

    assert "id: 1\n" not in by_header.text
    assert "id: 2\n" in by_header.text
    assert by_query.text == by_header.text


def test_a_client_that_has_all_of_an_ended_job_is_told_to_stay_away(
    api: TestClient, submit: Submit, work: Work
) -> None:
    job = submit()
    work(job["id"]).fail(code="internal", detail="?")
    last = api.get(job["links"]["events"]).json()["last_sequence"]
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}

    # 204 is how the standard tells an EventSource not to reconnect.
    assert api.get(job["links"]["events"], headers=headers).status_code == 204


def test_a_stream_of_no_job_is_not_found(api: TestClient) -> None:
    answer = api.get("/v1/jobs/job_x/events", headers={"Accept": "text/event-stream"})

    assert answer.status_code == 404


def test_a_last_event_id_that_is_no_number_is_refused(api: TestClient, submit: Submit) -> None:
    answer = api.get(submit()["links"]["events"], headers={"Last-Event-ID": "abc"})

    assert answer.json()["errors"][0]["pointer"] == "#/last-event-id"
