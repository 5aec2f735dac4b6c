"""Who is let in: keys that are good, and all that are not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.api.app import create_app
from service.api.server import make_server
from service.settings import Settings
from service.store.database import Database
from service.store.keys.repository import KeyRepository
from service.store.keys.scopes import SCOPES
from service.store.keys.secret import KeyText
from tests.support.keyed_api import bearing, keyed_api, new_key
from tests.support.running_api import NO_BROKER
from tests.support.waiting import wait_until

OPEN = {"/healthz", "/readyz", "/problems/{code}"}
ANY_KEY = {"/docs", "/openapi.json"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with keyed_api(tmp_path_factory.mktemp("keyed")) as client:
        yield client


def database(api: TestClient) -> Any:
    assert isinstance(api.app, FastAPI)
    return api.app.state.application.database


def operations(api: TestClient) -> Iterator[tuple[str, str, dict[str, Any]]]:
    assert isinstance(api.app, FastAPI)
    for path, methods in api.app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_endpoint_but_health_and_explanations_asks_for_a_key(api: TestClient) -> None:
    for method, path, operation in operations(api):
        answer = api.request(method, path)
        if path in OPEN:
            assert answer.status_code != 401
            assert operation["security"] == []
        else:
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "unauthenticated"
            assert "401" in operation["responses"]
    for path in ("/openapi.json", "/docs", "/v1/nothing"):
        assert api.get(path).status_code == 401
        assert api.head(path).status_code == 401


def test_a_key_of_no_scope_is_told_which_one_each_endpoint_needs(api: TestClient) -> None:
    headers = bearing(new_key(api, scopes=()))
    for method, path, operation in operations(api):
        if path in OPEN:
            continue
        answer = api.request(method, path, headers=headers)
        ((needed,),) = operation["security"][0].values()
        assert answer.status_code == 403, path
        assert answer.json()["code"] == "forbidden"
        assert needed in SCOPES
        assert needed in answer.json()["detail"]
        assert f'scope="{needed}"' in answer.headers["www-authenticate"]


def test_reading_is_not_writing(api: TestClient) -> None:
    headers = bearing(new_key(api, scopes=["models:read"]))
    assert api.get("/v1/models", headers=headers).status_code == 200
    assert api.head("/v1/models", headers=headers).status_code == 200
    assert api.post("/v1/models", files={"file": b"m"}, headers=headers).status_code == 403
    assert api.get("/v1/jobs", headers=headers).status_code == 403


def test_a_key_that_nobody_limited_does_everything_for_its_tenant(api: TestClient) -> None:
    headers = bearing(new_key(api))
    assert api.post("/v1/models", files={"file": b"m"}, headers=headers).status_code == 201
    for resource in ("models", "datasets", "analyses", "jobs"):
        assert api.get(f"/v1/{resource}", headers=headers).status_code == 200
    assert api.get("/metrics", headers=headers).status_code == 403, "it tells of all tenants"
    assert api.get("/metrics", headers=bearing(new_key(api, scopes=SCOPES))).status_code == 200


def swapped(key: str, at: int) -> str:
    return key[:at] + ("1" if key[at] == "0" else "0") + key[at + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: f"Bearer {swapped(key, -1)}",  # the checksum
        lambda key: f"Bearer {swapped(key, 20)}",  # the secret
        lambda key: f"Bearer {key[:-1]}",
        lambda key: f"Bearer {key} {key}",
        lambda key: f"Basic {key}",
        lambda key: key,
        lambda key: "Bearer",
        lambda key: "",
        lambda key: "Bearer sk_\xff",
    ],
)
def test_what_is_no_key_opens_nothing(api: TestClient, spoil: Any) -> None:
    header = spoil(new_key(api)).encode("latin-1")
    answer = api.get("/v1/jobs", headers={"Authorization": header})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_well_formed_key_with_another_secret_opens_nothing(api: TestClient) -> None:
    from service.store.keys import secret

    good, other = new_key(api), new_key(api)
    head = f"{good[:16]}{other[16:-6]}"  # one key's prefix, another's secret
    forged = head + secret._checksum(head)

    assert secret.read_key(forged) is not None
    answer = api.get("/v1/jobs", headers=bearing(forged))
    assert answer.status_code == 401
    assert "no such key" in answer.json()["detail"]


def test_expired_and_revoked_keys_open_nothing_and_say_so_to_their_owner(api: TestClient) -> None:
    expired = new_key(api, lifetime=timedelta(0))
    assert "expired" in api.get("/v1/jobs", headers=bearing(expired)).json()["detail"]

    revoked = new_key(api)
    assert api.get("/v1/jobs", headers=bearing(revoked)).status_code == 200
    with database(api).begin() as session:
        KeyRepository(session).revoke(revoked.split("_")[1])
    answer = api.get("/v1/jobs", headers=bearing(revoked))
    assert answer.status_code == 401, "from this moment on"
    assert "revoked" in answer.json()["detail"]


def test_a_rotated_key_is_good_until_the_overlap_ends(api: TestClient) -> None:
    for overlap, status in ((timedelta(hours=1), 200), (timedelta(0), 401)):
        old = new_key(api, scopes=["jobs:read"], lifetime=timedelta(days=9))
        with database(api).begin() as session:
            record, made = KeyRepository(session).rotate(old.split("_")[1], overlap)
        assert record.scopes == ["jobs:read"]
        assert record.expires_at - record.created_at == timedelta(days=9)
        assert api.get("/v1/jobs", headers=bearing(old)).status_code == status
        assert api.get("/v1/jobs", headers=bearing(made.text)).status_code == 200
        assert api.get("/v1/models", headers=bearing(made.text)).status_code == 403


def test_the_use_of_a_key_is_written_at_most_once_a_minute(api: TestClient) -> None:
    key = new_key(api)

    def last_used() -> Any:
        with database(api).read() as session:
            return KeyRepository(session).get(key.split("_")[1]).last_used_at

    assert last_used() is None
    api.get("/v1/jobs", headers=bearing(key))
    wait_until(lambda: last_used() is not None, 10)
    first = last_used()
    api.get("/v1/jobs", headers=bearing(key))
    with database(api).begin() as session:
        assert not KeyRepository(session).note_use(key.split("_")[1])
    assert last_used() == first


def test_the_records_hold_no_key(api: TestClient) -> None:
    key = new_key(api)
    stored = b"".join(
        file.read_bytes() for file in api.app.state.application.settings.data_dir.glob("*.db*")
    )
    assert key.split("_")[1].encode() in stored
    assert key.split("_")[2][:20].encode() not in stored
    assert "secret" not in repr(KeyText("p", "secret"))


@pytest.mark.parametrize(
    ("settings", "is_let_in"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"host": "localhost"}, True),
        ({"require_keys": True}, False),
        ({"host": "0.0.0.0"}, False),
        ({"host": "::"}, False),
        ({"host": "10.0.0.1"}, False),
        ({"host": "eigenpress.example"}, False),
    ],
)
def test_without_a_key_only_loopback_is_open(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any], is_let_in: bool
) -> None:
    app = create_app(
        Settings(data_dir=tmp_path_factory.mktemp("data"), broker_url=NO_BROKER, **settings)
    )
    api = TestClient(app)
    forwarded = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "Host": "localhost"}
    for headers in ({}, forwarded):
        assert (api.get("/v1/jobs", headers=headers).status_code == 200) == is_let_in
    assert ({} in app.openapi()["paths"]["/v1/jobs"]["get"]["security"]) == is_let_in


def test_an_address_that_others_reach_is_not_opened_by_a_setting_that_says_loopback(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("data"), broker_url=NO_BROKER))
    assert TestClient(app, base_url="http://192.0.2.7").get("/v1/jobs").status_code == 401
    assert TestClient(app, base_url="http://127.0.0.1").get("/v1/jobs").status_code == 200


def test_on_loopback_a_key_that_is_wrong_is_still_wrong(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with keyed_api(tmp_path_factory.mktemp("data"), require_keys=False) as open_api:
        expired = new_key(open_api, lifetime=timedelta(0))
        assert open_api.get("/v1/jobs", headers=bearing(expired)).status_code == 401
        assert open_api.get("/v1/jobs").status_code == 200, "also where keys exist"


def test_a_service_that_nobody_can_use_yet_says_how_to_make_a_key(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"), broker_url=NO_BROKER, host="0.0.0.0"
    )
    make_server(settings)
    assert "eigenpress keys create" in caplog.text

    caplog.clear()
    with Database(settings.database_url).begin() as session:
        KeyRepository(session).create()
    make_server(settings)
    assert not caplog.records
