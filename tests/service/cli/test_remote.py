"""`submit`, `jobs`, `watch`, `cancel` and `download` against a running service; the test plays the worker."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from threading import Thread
from typing import Any

import pytest

from service.api.app import make_application
from service.settings import Settings
from service.store.jobs.repository import JobRepository
from tests.support.analyses import ANALYSIS, WITH_DATA
from tests.support.hand import Hand
from tests.support.running_api import NO_BROKER, RunningApi, running_api
from tests.support.waiting import wait_until

ASKED = ("--max-metric-drop", "0.02", "--epochs", "3", "--seed", "7")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@dataclass
class Remote:
    """The command line, pointed at the service."""

    call: Callable[..., "CompletedProcess[str]"]
    server: RunningApi
    files: tuple[Path, Path]

    def __call__(self, *arguments: object) -> "CompletedProcess[str]":
        return self.call(*arguments, EIGENPRESS_SERVER=self.server.url)

    def json(self, *arguments: object) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def submit(self) -> str:
        ended = self("submit", *self.files, *ASKED)
        assert ended.returncode == 0, ended.stderr
        return str(ended.stdout.strip())

    def worker_of(self, job_id: str) -> Hand:
        """Claim a job."""
        settings = Settings(data_dir=self.server.data_dir, broker_url=NO_BROKER)
        return Hand(make_application(settings), job_id).claim()


@pytest.fixture
def remote(run, server: RunningApi, tmp_path: Path) -> Remote:
    files = tmp_path / "m.onnx", tmp_path / "d.csv"
    files[0].write_bytes(b"a model")
    files[1].write_text("x,label\n1,0\n")
    return Remote(run, server, files)


def finished(remote: Remote, **more: Any) -> str:
    """Return a job that ended well."""
    job_id = remote.submit()
    hand = remote.worker_of(job_id)
    reports = {
        f"report_{kind}_sha256": hand.store(kind.encode()) for kind in ("json", "html", "csv")
    }
    hand.succeed(hand.candidate(b"small", 3), **reports)
    return job_id


def test_submit_prints_the_id_alone_and_sends_what_was_asked_for(remote: Remote):
    job_id = remote.submit()
    assert job_id.startswith("job_")
    assert "\n" not in job_id
    (job,) = [one for one in remote.json("jobs")["data"] if one["id"] == job_id]
    assert job["recipe"]["target"]["max_metric_drop"] == 0.02
    assert job["recipe"]["training"]["epochs"] == 3
    assert job["recipe"]["seed"] == 7


def test_submit_as_json_prints_the_job(remote: Remote):
    job = remote.json("submit", *remote.files, *ASKED)
    assert (job["object"], job["status"]) == ("job", "queued")


def test_jobs_are_listed_the_newest_first_and_by_status(remote: Remote):
    first, second = remote.submit(), remote.submit()
    lines = [line.split()[0] for line in remote("jobs").stdout.splitlines()]
    assert lines.index(second) < lines.index(first)
    remote("cancel", first)
    listed = remote("jobs", "--status", "cancelled").stdout
    assert first in listed
    assert second not in listed


def test_watch_ends_as_compress_does_with_0_where_the_target_is_met(remote: Remote):
    ended = remote("watch", finished(remote))
    assert (ended.returncode, ended.stdout) == (0, "succeeded: target_met\n")


def test_watch_shows_the_stage_on_stderr(remote: Remote):
    job_id = remote.submit()
    hand = remote.worker_of(job_id)
    hand.tell("job.progress", stage="fine_tuning", fraction=0.5, metrics={"loss": 0.25})
    hand.succeed(hand.candidate(b"small", 3))
    assert "50% fine tuning" in remote("watch", job_id).stderr


@pytest.mark.parametrize("outcome", ["target_not_met", "no_gain"])
def test_watch_ends_with_3_where_the_target_was_not_met(remote: Remote, outcome):
    job_id = remote.submit()
    hand = remote.worker_of(job_id)
    chosen = hand.candidate(b"small", 3)
    hand._finish("succeeded", outcome=outcome, chosen_candidate_id=chosen)
    ended = remote("watch", job_id, "--json")
    assert ended.returncode == 3
    assert json.loads(ended.stdout)["outcome"] == outcome


def test_watch_ends_with_1_and_the_error_of_a_job_that_failed(remote: Remote):
    job_id = remote.submit()
    remote.worker_of(job_id).fail(code="diverged", detail="it left the finite numbers")
    ended = remote("watch", job_id)
    assert ended.returncode == 1
    assert "it left the finite numbers (diverged)" in ended.stderr
    assert remote.json("watch", job_id)["error"]["code"] == "diverged"


def test_analyze_uploads_the_model_waits_and_ends_as_at_home(remote: Remote):
    asked = ("analyze", remote.files[0], "--max-macs", "0.5", "--server", remote.server.url)
    infeasible = ANALYSIS | {"target": {"feasible": False, "reason": "too little"}}
    with played(remote, lambda hand: hand.analysed(infeasible)):
        ended = remote(*asked)
    assert ended.returncode == 3, ended.stderr
    assert "target: not feasible: too little" in ended.stdout
    with played(remote, lambda hand: hand.analysed(ANALYSIS)):
        assert remote.json(*asked) == ANALYSIS
    with played(remote, lambda hand: hand.fail(code="model-invalid", detail="made of cheese")):
        ended = remote(*asked)
    assert ended.returncode == 1
    assert "made of cheese (model-invalid)" in ended.stderr


def test_submit_may_only_look_at_the_data_and_says_what_they_mean(remote: Remote):
    before = remote.json("jobs", "--limit", "100")["data"]
    asked = ("submit", *remote.files, "--validate-only")
    with played(remote, lambda hand: hand.analysed(WITH_DATA)):
        ended = remote(*asked)
    assert ended.returncode == 0, ended.stderr
    assert "accuracy 0.9 on validation rows" in ended.stdout
    with played(remote, lambda hand: hand.analysed(WITH_DATA)):
        assert remote.json(*asked)["data"]["metric"] == "accuracy"
    with played(remote, lambda hand: hand.fail(code="dataset-mismatch", detail="turned")):
        ended = remote(*asked)
    assert ended.returncode == 1
    assert "turned (dataset-mismatch)" in ended.stderr
    assert remote.json("jobs", "--limit", "100")["data"] == before


@contextmanager
def played(remote: Remote, end: Callable[[Hand], None]) -> Iterator[None]:
    """Play the worker of the next analysis."""
    here = make_application(Settings(data_dir=remote.server.data_dir, broker_url=NO_BROKER))

    def play() -> None:
        queued: list[str] = []

        def asked() -> bool:
            with here.database.read() as session:
                queued[:] = [
                    row.id for row in JobRepository(session).list(kind="analysis", status="queued")
                ]
            return bool(queued)

        wait_until(asked)
        end(Hand(here, queued[0]).claim())

    worker = Thread(target=play)
    worker.start()
    yield
    worker.join()


def test_cancel_says_what_the_job_is_then_and_refuses_one_that_has_ended(remote: Remote):
    job_id = remote.submit()
    assert remote("cancel", job_id).stdout == "cancelled\n"
    assert remote("watch", job_id).returncode == 1
    ended = remote("cancel", finished(remote))
    assert ended.returncode == 1
    assert "job-terminal" in ended.stderr


def test_download_writes_the_model_and_the_report_in_the_format_of_its_name(
    remote: Remote, tmp_path: Path
):
    job_id = finished(remote)
    model = tmp_path / "out.onnx"
    for suffix, content in {"json": "json", "html": "html", "htm": "html", "csv": "csv"}.items():
        report = tmp_path / f"r.{suffix}"
        ended = remote("download", job_id, "-o", model, "--report", report)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.split() == [str(model), str(report)]
        assert (model.read_bytes(), report.read_text()) == (b"small", content)


def test_what_is_not_there_yet_is_a_failure_with_the_server_s_own_problem(
    remote: Remote, tmp_path: Path
):
    ended = remote("download", remote.submit(), "-o", tmp_path / "out.onnx", "--json")
    assert ended.returncode == 1
    problem = json.loads(ended.stdout)["error"]
    assert (problem["code"], problem["retryable"]) == ("result-not-ready", True)
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("jobs", "--status", "done"), "status"),
        (("jobs", "--server", "localhost:8000"), "--server"),
        (("download", "job_x"), "--report"),
        (("download", "job_x", "--report", "r.txt"), ".html"),
        (("download", "job_x", "-o", "/nowhere/out.onnx"), "/nowhere/out.onnx"),
        (("submit", "nothing.onnx", "nothing.csv"), "nothing.onnx"),
        (("watch",), "JOB"),
    ],
)
def test_wrong_use_ends_with_2_and_names_what_is_wrong(remote: Remote, arguments, told):
    ended = remote(*arguments)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["watch", "cancel"])
def test_a_job_that_does_not_exist_is_a_failure(remote: Remote, command):
    ended = remote(command, "job_nope")
    assert ended.returncode == 1
    assert "not-found" in ended.stderr
