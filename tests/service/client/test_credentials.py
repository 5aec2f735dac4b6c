"""A client and its key."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from service.client import ApiError, Client, ClientError


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
