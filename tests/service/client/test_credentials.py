"""A client and its key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from service.client import ApiError, Client, ClientError
from tests.support.running_api import running_api


@pytest.fixture
def sent() -> list[str | None]:
    """What each request carried as Authorization."""
    return []


@pytest.fixture
def network(sent: list[str | None]) -> httpx2.MockTransport:
    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.headers.get("authorization"))
        return httpx2.Response(200, json={"object": "list", "data": [], "first_id": None,
                                          "last_id": None, "has_more": False})  # fmt: skip

    return httpx2.MockTransport(answer)


def test_a_key_is_taken_from_the_call_the_environment_or_a_file(
    network: httpx2.MockTransport,
    sent: list[str | None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    file = tmp_path / "key"
    file.write_text("sk_file\n")
    Client("http://x", transport=network).models.list()
    monkeypatch.setenv("EIGENPRESS_API_KEY_FILE", str(file))
    Client("http://x", transport=network).models.list()
    monkeypatch.setenv("EIGENPRESS_API_KEY", "sk_env")
    Client("http://x", transport=network).models.list()
    Client("http://x", key="sk_call", transport=network).models.list()
    assert sent == [None, "Bearer sk_file", "Bearer sk_env", "Bearer sk_call"]


def test_what_no_header_can_carry_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClientError, match="keys create"):
        Client("http://x", key="sk_a\nX-Evil: 1")
    monkeypatch.setenv("EIGENPRESS_API_KEY_FILE", "/nowhere/key")
    with pytest.raises(ClientError, match="/nowhere/key"):
        Client("http://x")


def test_a_quota_of_the_day_is_told_at_once() -> None:
    def refuse(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(429, headers={"Retry-After": "40000"})

    with pytest.raises(ApiError):
        Client("http://x", transport=httpx2.MockTransport(refuse)).models.list()


def test_a_service_that_asks_for_keys_lets_a_client_in_by_one(tmp_path: Path) -> None:
    with running_api(tmp_path, require_keys=True) as server:
        with Client(server.url) as stranger, pytest.raises(ApiError, match="keys create") as told:
            stranger.models.list()
        assert told.value.code == "unauthenticated"

        command = [sys.executable, "-m", "service.cli", "keys", "create"]
        made = subprocess.run(
            [*command, "--data-dir", str(tmp_path)], capture_output=True, text=True, check=True
        )
        with Client(server.url, key=made.stdout) as client:
            assert client.models.list().data == []
            (tmp_path / "m.onnx").write_bytes(b"m")
            sent = client.models.create(tmp_path / "m.onnx")
            assert client.models.download(sent.id, tmp_path / "back").read_bytes() == b"m"
    assert "none exists: every request is refused" in (tmp_path / "api.log").read_text()
