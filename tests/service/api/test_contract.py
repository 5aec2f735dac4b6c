"""A fuzzer reads the OpenAPI document and tries to make the API break its word.

Some requests are the same in each run: the edges of every field, and a dozen for each operation. A few more are drawn
anew in each run. A test that fails shows the number that they were drawn by, which draws them again:

    CONTRACT_SEED=1234 python -m pytest tests/service/api/test_contract.py -k drawn_anew
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from service.api.app import make_application
from service.settings import Settings
from tests.support.analyses import ANALYSIS
from tests.support.hand import Hand
from tests.support.running_api import NO_BROKER, RunningApi, running_api

EXAMPLES = 12  # of each operation; with coverage cases on top: about a minute in all
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
RAW = {"Content-Type": "application/octet-stream"}
DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"
SEED = int(os.environ.get("CONTRACT_SEED") or secrets.randbelow(10**6))

pytestmark = pytest.mark.timeout(900)  # each test goes through all operations

# Of fixtures, so that only the process that runs these tests thinks up the requests.
schema = schemathesis.pytest.from_fixture("document")
schema_anew = schemathesis.pytest.from_fixture("document_anew")


@pytest.fixture(autouse=True)
def _named(request: pytest.FixtureRequest) -> None:
    """Schemathesis 4.32 writes to a name that nodes of pytest 9.2 do not have any more."""
    request.node._nodeid = request.node.nodeid


@pytest.fixture(scope="module")
def document() -> BaseSchema:
    return schemathesis.openapi.from_path(DOCUMENT)


@pytest.fixture(scope="module")
def document_anew() -> BaseSchema:
    """Draw by another seed in each run, and leave out what is the same in each."""
    read = schemathesis.openapi.from_path(DOCUMENT, config=schemathesis.Config(seed=SEED))
    read.config.phases.examples.enabled = False
    read.config.phases.coverage.enabled = False
    return read


@dataclass(frozen=True)
class Target:
    """A server, and the ids of what exists there: half of the requests are to find something."""

    url: str
    known: dict[str, str]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with running_api(tmp_path_factory.mktemp("fuzzed"), max_upload_bytes=1 << 20) as server:
        yield Target(server.url, ended_job(server))


def ended_job(server: RunningApi) -> dict[str, str]:
    with httpx2.Client(base_url=server.url) as http:
        model = http.post("/v1/models", content=b"m", headers=RAW).json()["id"]
        dataset = http.post("/v1/datasets", content=b"d", headers=RAW).json()["id"]
        job = http.post("/v1/jobs", json={"model": model, "dataset": dataset}).json()["id"]
        analysis = http.post("/v1/analyses", json={"model": model}).json()["id"]
    here = make_application(Settings(data_dir=server.data_dir, broker_url=NO_BROKER))
    hand = Hand(here, job).claim()
    chosen = hand.candidate(b"small", 3)
    hand.succeed(chosen, report_json_sha256=hand.store(b"{}"))
    Hand(here, analysis).claim().analysed(ANALYSIS)
    return {
        "model_id": model,
        "dataset_id": dataset,
        "job_id": job,
        "candidate_id": chosen,
        "analysis_id": analysis,
    }


fuzzing = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
anew = settings(fuzzing, derandomize=False, database=None, max_examples=EXAMPLES // 2)


@pytest.fixture
def seed() -> int:
    """Say what the requests are drawn by, where the test fails."""
    print(f"drawn by CONTRACT_SEED={SEED}")
    return SEED


@schema.parametrize()
@fuzzing
def test_the_api_keeps_its_word_whatever_it_is_sent(case: Case, target: Target) -> None:
    _keep_short(case)
    case.call_and_validate(base_url=target.url, checks=CHECKS)


@schema.parametrize()
@fuzzing
def test_the_api_keeps_its_word_about_what_exists(case: Case, target: Target) -> None:
    _keep_short(case)
    _aim(case, target.known)
    case.call_and_validate(base_url=target.url, checks=CHECKS)


@schema_anew.parametrize()
@anew
def test_the_api_keeps_its_word_whatever_is_drawn_anew(
    case: Case, target: Target, seed: int
) -> None:
    _keep_short(case)
    case.call_and_validate(base_url=target.url, checks=CHECKS)


@schema_anew.parametrize()
@anew
def test_the_api_keeps_its_word_about_what_exists_when_drawn_anew(
    case: Case, target: Target, seed: int
) -> None:
    _keep_short(case)
    _aim(case, target.known)
    case.call_and_validate(base_url=target.url, checks=CHECKS)


def _aim(case: Case, known: dict[str, str]) -> None:
    """Put ids of what exists into a request."""
    for name, value in known.items():
        if name in (case.path_parameters or {}):
            case.path_parameters[name] = value
    if isinstance(case.body, dict):
        of_body = {"model": known["model_id"], "dataset": known["dataset_id"]}
        case.body |= {name: of_body[name] for name in of_body.keys() & case.body.keys()}


def _keep_short(case: Case) -> None:
    # Waiting for a job that never ends is right, and takes a minute each time.
    if case.query and "wait" in case.query:
        case.query["wait"] = 0
    if case.query and "validate_only" in case.query:
        case.headers["Prefer"] = "wait=0"
