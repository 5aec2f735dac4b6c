"""The client against a real server, and against one that misbehaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import httpx2
import pytest

from service.api.app import make_application
from service.api.application import Application
from service.api.jobs.schemas import JobValidation
from service.client import (
    ApiError,
    Client,
    ClientError,
    ConnectionFailed,
    DigestError,
    Job,
    JobFailed,
)
from service.settings import Settings
from spectral_engine.records.recipe import Recipe
from tests.support.analyses import WITH_DATA
from tests.support.hand import Hand
from tests.support.running_api import NO_BROKER, RunningApi, running_api

SMALL = b"a smaller model"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def here(server: RunningApi) -> Application:
    return make_application(Settings(data_dir=server.data_dir, broker_url=NO_BROKER))


@pytest.fixture
def client(server: RunningApi) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture
def job(client: Client, tmp_path: Path) -> Job:
    model, data = tmp_path / "net.onnx", tmp_path / "rows.csv"
    model.write_bytes(b"a model")
    data.write_bytes(b"x,y\n1,0\n")
    return client.jobs.create(
        model=client.models.create(model).id,
        dataset=client.datasets.create(data, label="y").id,
        recipe={"target": {"max_metric_drop": 0.02}},
    )


def test_files_go_up_with_their_names_and_come_back_the_same(
    client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"bytes" * 1000)
    sent: list[tuple[int, int]] = []

    model = client.models.create(
        file, metadata={"team": "vision"}, on_bytes=lambda done, total: sent.append((done, total))
    )

    assert (model.name, model.size_bytes) == ("net.onnx", 5000)
    assert client.models.get(model.id) == model
    assert model in client.models.list(limit=100).data
    assert client.models.download(model.id, tmp_path / "back.onnx").read_bytes() == b"bytes" * 1000
    assert sent[-1] == (5000, 5000)


def test_a_data_set_goes_up_with_its_label_and_preprocessing(
    client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"x,y\n1,0\n")

    dataset = client.datasets.create(
        file,
        label="y",
        preprocessing={"scale": 0.5},
        labels={"classes": ["no", "yes"]},
        seen_by_original=["train"],
        rows_axis={"x": 1},
    )

    assert (dataset.label, dataset.preprocessing) == ("y", {"scale": 0.5})
    assert dataset.labels == {"classes": ["no", "yes"]}
    assert (dataset.seen_by_original, dataset.rows_axis) == (["train"], {"x": 1})
    assert client.datasets.create(file, seen_by_original=False).seen_by_original is False


def test_labels_that_cannot_be_read_are_refused_by_field(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"x,y\n1,0\n")

    with pytest.raises(ApiError) as caught:
        client.datasets.create(file, labels={"klasses": ["no", "yes"]})

    assert caught.value.status == 422
    assert "klasses" in caught.value.problem.detail


def test_a_folder_goes_up_as_an_archive_that_depends_on_its_contents_alone(
    client: Client, tmp_path: Path
) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "1.png").write_bytes(name.encode())

    sent, again = (client.datasets.create(tmp_path / "pets") for _ in range(2))

    assert sent.sha256 == again.sha256


def test_a_recipe_is_sent_as_object_or_dict(client: Client, job: Job) -> None:
    recipe = Recipe.parse({"target": {"keep_nodes": 0.1}})

    checked = client.jobs.validate(
        model=job.model, dataset=job.dataset, recipe=recipe, wait_seconds=0
    )

    assert checked.recipe["target"]["keep_nodes"] == 0.1
    assert checked.status == "pending"
    assert job.recipe["target"]["max_metric_drop"] == 0.02


def test_validating_waits_for_a_worker_and_raises_what_the_job_would_fail_with(
    client: Client, job: Job, here: Application
) -> None:
    def validate(seconds: float, **recipe: Any) -> JobValidation:
        return client.jobs.validate(
            model=job.model, dataset=job.dataset, recipe=recipe, wait_seconds=seconds
        )

    hand = Hand(here, validate(0, seed=1).analysis).claim()
    Timer(0.5, hand.analysed, [WITH_DATA]).start()
    checked = validate(60, seed=1)
    assert checked.data is not None
    assert checked.data.metric == "accuracy"

    hand = Hand(here, validate(0, seed=2).analysis).claim()
    hand.fail(code="dataset-mismatch", detail="turned", pointer="#/y", retryable=False)
    with pytest.raises(ApiError) as caught:
        validate(60, seed=2)
    assert caught.value.code == "dataset-mismatch"
    assert caught.value.problem.errors[0].pointer == "#/y"


def test_waiting_ends_with_the_job_and_its_result_can_be_fetched(
    client: Client, job: Job, here: Application, tmp_path: Path
) -> None:
    hand = Hand(here, job.id).claim()

    def finish() -> None:
        chosen = hand.candidate(SMALL, 10)
        page = hand.store(b"<!doctype html>")
        hand.succeed(chosen, report_json_sha256=hand.store(b"{}"), report_html_sha256=page)

    Timer(0.5, finish).start()

    assert job.wait(timeout=60).status == "succeeded"
    assert job.outcome == "target_met"
    assert job.download_model(tmp_path / "small.onnx").read_bytes() == SMALL
    assert job.download_report(tmp_path / "report.html").read_bytes() == b"<!doctype html>"
    assert job.download_report(tmp_path / "report.json").read_bytes() == b"{}"
    (candidate,) = job.candidates()
    assert candidate.chosen
    one = job.download_model(tmp_path / "one.onnx", candidate=candidate.id)
    assert one.read_bytes() == SMALL


def test_a_model_in_several_files_comes_with_all_of_them(
    client: Client, job: Job, here: Application, tmp_path: Path
) -> None:
    hand = Hand(here, job.id).claim()
    wide = hand.candidate(b"wide", 20, **{"w.data": b"wide weights"})
    hand.succeed(hand.candidate(SMALL, 10, **{"n.data": b"narrow weights"}))

    job.download_model(tmp_path / "small.onnx")
    job.download_model(tmp_path / "wide.onnx", candidate=wide)

    contents = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert (
        contents.items()
        >= {
            "small.onnx": SMALL,
            "n.data": b"narrow weights",
            "wide.onnx": b"wide",
            "w.data": b"wide weights",
        }.items()
    )


@pytest.mark.parametrize("name", ["../w.data", "small.onnx", "..", "a\\b"])
def test_a_file_that_cannot_lie_beside_the_model_is_not_written(
    client: Client, job: Job, here: Application, tmp_path: Path, name: str
) -> None:
    hand = Hand(here, job.id).claim()
    hand.succeed(hand.candidate(SMALL, 10, **{name: b"?"}))

    with pytest.raises(ClientError, match="cannot lie beside"):
        job.download_model(tmp_path / "small.onnx")

    assert not (tmp_path / "small.onnx").exists()


def test_waiting_for_a_job_that_fails_raises_its_problem(
    client: Client, job: Job, here: Application
) -> None:
    Hand(here, job.id).claim().fail(code="diverged", detail="the loss is not finite")

    with pytest.raises(JobFailed) as failed:
        job.wait(timeout=60)

    assert failed.value.problem.code == "diverged"
    assert "the loss is not finite" in str(failed.value)


def test_waiting_gives_up_in_time(job: Job) -> None:
    with pytest.raises(TimeoutError):
        job.wait(timeout=0.3)


def test_a_cancelled_job_is_returned(job: Job) -> None:
    assert job.cancel().status == "cancelled"
    assert job.wait(timeout=60).status == "cancelled"


def test_events_come_until_the_job_ends(client: Client, job: Job, here: Application) -> None:
    hand = Hand(here, job.id).claim()
    hand.tell("job.warning", "few rows")
    Timer(0.7, lambda: hand.fail(code="internal", detail="?")).start()

    events = list(job.events())

    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[0].type == "job.queued"
    assert events[-1].type == "job.failed"


def test_events_of_an_ended_job_after_its_last_one_are_none(job: Job) -> None:
    job.cancel()
    last = list(job.events())[-1].sequence

    assert list(job.events(after=last)) == []


def test_a_problem_is_raised_whole(client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        client.jobs.create(model="mdl_x", dataset="ds_x")

    assert (refused.value.status, refused.value.code) == (422, "invalid-request")
    assert [error.pointer for error in refused.value.problem.errors] == ["#/model", "#/dataset"]


def test_jobs_are_listed(client: Client, job: Job) -> None:
    page = client.jobs.list(limit=1, status="queued")

    assert page.data[0].id == job.id


# From here on the server is a script: what a network does cannot be ordered from a real one.


class Script:
    """Answers requests one after the other with what it was given, and notes them."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def client(self) -> Client:
        return Client("http://test", transport=httpx2.MockTransport(self.answer))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleep not at all, and note for how long."""
    taken: list[float] = []
    monkeypatch.setattr("time.sleep", taken.append)
    return taken


def job_answer(shown: Job) -> httpx2.Response:
    return httpx2.Response(202, content=shown.model_dump_json())


def test_a_busy_server_is_asked_again_after_the_time_it_names(job: Job, naps: list[float]) -> None:
    script = Script(httpx2.Response(503, headers={"Retry-After": "7"}), job_answer(job))

    again = script.client().jobs.create(model="m", dataset="d")

    assert again.id == job.id
    assert naps == [7.0]


def test_a_repeated_submission_keeps_its_key(job: Job, naps: list[float]) -> None:
    script = Script(httpx2.ReadError("gone"), job_answer(job))

    script.client().jobs.create(model="m", dataset="d")

    keys = [request.headers["Idempotency-Key"] for request in script.requests]
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_repeated_upload_sends_the_whole_file_again(
    client: Client, tmp_path: Path, naps: list[float]
) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"abc")
    stored = httpx2.Response(201, content=client.models.create(file).model_dump_json())
    script = Script(httpx2.WriteError("gone"), stored)

    script.client().models.create(file)

    assert [request.content for request in script.requests] == [b"abc", b"abc"]
    assert "Repr-Digest" in script.requests[0].headers


def test_an_error_that_repeating_does_not_mend_is_raised_at_once(naps: list[float]) -> None:
    script = Script(httpx2.Response(404, text="no"))

    with pytest.raises(ApiError) as missing:
        script.client().jobs.get("job_x")

    assert missing.value.status == 404
    assert naps == []


def test_a_server_that_stays_away_is_named(naps: list[float]) -> None:
    script = Script(*[httpx2.ConnectError("refused")] * 5)

    with pytest.raises(ConnectionFailed, match="refused"):
        script.client().jobs.get("job_x")

    assert len(naps) == 4


def test_a_file_that_arrives_damaged_is_not_kept(tmp_path: Path) -> None:
    wrong = "sha-256=:" + "A" * 43 + "=:"
    script = Script(httpx2.Response(200, content=b"x", headers={"Repr-Digest": wrong}))

    with pytest.raises(DigestError):
        script.client().models.download("mdl_x", tmp_path / "x.onnx")

    assert list(tmp_path.iterdir()) == []


def event(sequence: int, kind: str) -> dict[str, Any]:
    moment = "2026-01-01T00:00:00.000Z"
    return {
        "id": f"evt_{sequence}",
        "job": "job_x",
        "sequence": sequence,
        "type": kind,
        "level": "info",
        "message": "",
        "data": {},
        "created_at": moment,
    }


def stream(*events: dict[str, Any]) -> httpx2.Response:
    frames = "".join(f"id: {one['sequence']}\ndata: {json.dumps(one)}\n\n" for one in events)
    return httpx2.Response(200, text=frames, headers={"Content-Type": "text/event-stream"})


def test_a_stream_that_breaks_is_taken_up_where_it_broke(naps: list[float]) -> None:
    first, second = event(1, "job.queued"), event(2, "job.started")
    script = Script(
        stream(first, second),
        httpx2.ReadError("gone"),
        stream(event(3, "job.failed")),
    )

    seen = [one.sequence for one in script.client().jobs.events("job_x")]

    assert seen == [1, 2, 3]
    assert [request.headers["Last-Event-ID"] for request in script.requests] == ["0", "2", "2"]


def test_events_are_polled_for_where_streams_do_not_get_through(naps: list[float]) -> None:
    page = {
        "data": [event(1, "job.queued"), event(2, "job.failed")],
        "first_id": "evt_1",
        "last_id": "evt_2",
        "last_sequence": 2,
        "has_more": False,
        "job_ended": True,
    }
    blocked = [httpx2.Response(200, text="<html>a proxy</html>")] * 4
    script = Script(*blocked, httpx2.Response(200, json=page))

    assert [one.sequence for one in script.client().jobs.events("job_x")] == [1, 2]
