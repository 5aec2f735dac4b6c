"""Two tenants of one service: for each, the other is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.store.base import Base
from service.store.jobs.records import JobRecord
from service.store.models.records import ModelRecord
from service.store.models.repository import ModelRepository
from service.store.scope import ForeignStatementError, TenantDatabase
from service.store.tenancy import OfJob, OfTenant
from tests.support.analyses import ANALYSIS
from tests.support.hand import Hand
from tests.support.keyed_api import bearing, keyed_api, new_key

OWNER, STRANGER = "acme", "globex"
ID = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class World:
    """An API, a key of each tenant, and what the owner has there."""

    api: TestClient
    owner: dict[str, str]
    stranger: dict[str, str]
    ids: dict[str, str]

    @property
    def application(self) -> Any:
        return self.api.app.state.application  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with keyed_api(tmp_path_factory.mktemp("tenants")) as api:
        owner, stranger = (bearing(new_key(api, tenant=name)) for name in (OWNER, STRANGER))
        yield World(api, owner, stranger, made_by(api, owner))


def made_by(api: TestClient, owner: dict[str, str]) -> dict[str, str]:
    files = [("file", ("m.onnx", b"model")), ("external", ("weights", b"weights"))]
    model = api.post("/v1/models", files=files, headers=owner).json()["id"]
    dataset = api.post("/v1/datasets", files={"file": b"d"}, headers=owner).json()["id"]
    asked = {"model": model, "dataset": dataset}
    job = api.post("/v1/jobs", json=asked, headers=owner).json()["id"]
    analysis = api.post("/v1/analyses", json={"model": model}, headers=owner).json()["id"]
    here = api.app.state.application  # type: ignore[attr-defined]
    hand = Hand(here, job, tenant=OWNER).claim()
    chosen = hand.candidate(b"small", 3, weights=b"less")
    hand.succeed(chosen, report_json_sha256=hand.store(b"{}"))
    Hand(here, analysis).claim().analysed(ANALYSIS)
    return {
        "model_id": model,
        "dataset_id": dataset,
        "job_id": job,
        "analysis_id": analysis,
        "candidate_id": chosen,
        "name": "weights",
    }


def test_every_address_with_an_id_is_404_for_another_tenant(world: World) -> None:
    walked = 0
    for template, operations in world.api.app.openapi()["paths"].items():  # type: ignore[attr-defined]
        names = ID.findall(template)
        if not names or names == ["code"]:
            continue
        path = template.format(**world.ids)
        never = template.format(**{name: unknown(world.ids[name]) for name in names})
        for method in operations:
            for accept in ("application/json", "text/event-stream", "text/html"):
                given = {"Accept": accept, "If-None-Match": "*"}
                answer = world.api.request(method, path, headers=world.stranger | given)
                nothing = world.api.request(method, never, headers=world.stranger | given)
                assert answer.status_code == 404, f"{method} {path}"
                assert told(answer, world.ids) == told(nothing, world.ids), "as for no id at all"
            mine = world.api.request(method, path, headers=world.owner)
            assert mine.status_code in {200, 409}, f"{method} {path}: the id must be a real one"
            walked += 1
    assert walked >= 14


def unknown(id_: str) -> str:
    """Return an id of the same kind that nothing has."""
    return id_[:-4] + ("0000" if not id_.endswith("0000") else "1111")


def told(answer: Any, ids: dict[str, str]) -> dict[str, Any]:
    """Return a problem without what differs from request to request."""
    body: dict[str, Any] = answer.json()
    text = re.sub(r"'[a-z]+_[0-9a-z]+'|[a-z]+_[0-9a-f]{32}", "ID", body["detail"])
    return {"code": body["code"], "detail": text, "errors": body["errors"]}


@pytest.mark.parametrize("resource", ["models", "datasets", "jobs", "analyses"])
def test_lists_hold_ones_own_alone(world: World, resource: str) -> None:
    mine = world.api.get(f"/v1/{resource}", headers=world.owner).json()["data"]
    theirs = world.api.get(f"/v1/{resource}", headers=world.stranger).json()
    assert mine
    assert theirs["data"] == []
    (first, *_) = mine
    after = world.api.get(
        f"/v1/{resource}", params={"after": first["id"], "order": "asc"}, headers=world.stranger
    )
    assert after.json()["data"] == []


def test_anothers_model_and_data_cannot_be_worked_on(world: World) -> None:
    foreign = {"model": world.ids["model_id"], "dataset": world.ids["dataset_id"]}
    for path, body in (
        ("/v1/jobs", foreign),
        ("/v1/jobs?validate_only=true", foreign),
        ("/v1/analyses", {"model": foreign["model"]}),
    ):
        answer = world.api.post(path, json=body, headers=world.stranger)
        nothing = {name: unknown(id_) for name, id_ in body.items()}
        none = world.api.post(path, json=nothing, headers=world.stranger)
        assert answer.status_code == none.status_code == 422
        assert told(answer, world.ids)["detail"] == told(none, world.ids)["detail"]


def test_an_idempotency_key_is_ones_own(world: World) -> None:
    made = [
        world.api.post(
            "/v1/models", files={"file": b"same"}, headers=who | {"Idempotency-Key": "k"}
        )
        for who in (world.owner, world.stranger, world.owner)
    ]
    ids = [answer.json()["id"] for answer in made]
    assert ids[0] == ids[2] != ids[1]
    assert "idempotent-replayed" not in made[1].headers


def test_bytes_that_another_tenant_has_are_stored_anew(world: World) -> None:
    root = world.application.artifacts.root
    answers = [
        world.api.post("/v1/models", files={"file": ("m", b"the same bytes")}, headers=who)
        for who in (world.owner, world.stranger)
    ]
    sha256 = answers[0].json()["sha256"]
    kept = {path.relative_to(root).parts[:2] for path in root.rglob(sha256)}
    assert kept == {("tenants", OWNER), ("tenants", STRANGER)}
    assert answers[0].json().keys() == answers[1].json().keys()
    assert {a.status_code for a in answers} == {201}


def test_what_was_there_before_tenants_is_that_of_the_default_one(world: World) -> None:
    with world.application.database.begin() as session:
        old = ModelRepository(session).add(name=None, file_name=None, sha256="0" * 64, size_bytes=1)
    path = f"/v1/models/{old.id}"
    default = bearing(new_key(world.api))
    assert world.api.get(path, headers=default).status_code == 200
    assert world.api.get(path, headers=world.owner).status_code == 404


def test_every_record_is_of_a_tenant_or_of_a_job() -> None:
    for mapper in Base.registry.mappers:
        assert issubclass(mapper.class_, OfTenant | OfJob), mapper.class_


def test_a_query_that_says_nothing_of_tenants_reaches_ones_own_rows_alone(world: World) -> None:
    from sqlalchemy import delete, select, update

    theirs = TenantDatabase(world.application.database, STRANGER)
    model_id = world.ids["model_id"]
    with theirs.begin() as session:
        assert session.get(ModelRecord, model_id) is None
        assert session.scalars(select(JobRecord.id)).all() == []
        for change in (update(ModelRecord).values(name="taken"), delete(ModelRecord)):
            named = change.where(ModelRecord.id == model_id)
            assert session.execute(named.returning(ModelRecord.id)).all() == []
        for beside in (JobRecord.__table__.select(), JobRecord.__table__.delete()):
            with pytest.raises(ForeignStatementError):
                session.execute(beside)
        session.add(ModelRecord(id="mdl_x", tenant=OWNER))
        with pytest.raises(ForeignStatementError):
            session.flush()
        session.rollback()
    assert world.api.get(f"/v1/models/{model_id}", headers=world.owner).json()["name"] is None
