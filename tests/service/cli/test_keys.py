"""`eigenpress keys` on the records of a service that does not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import alembic.config  # noqa: F401  # it keeps the stdout of its import, which must not be the runner's
import pytest
from typer.testing import CliRunner

from service.cli.app import app
from service.store.keys.secret import read_key


@pytest.fixture
def call(tmp_path: Path) -> Any:
    def call(*arguments: str, code: int = 0) -> Any:
        given = ["keys", *arguments, "--data-dir", str(tmp_path)]
        ended = CliRunner().invoke(app, given)
        assert ended.exit_code == code, ended.output
        return ended

    return call


def listed(call: Any) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = json.loads(call("list", "--json").stdout)["data"]
    return data


def test_a_key_is_shown_once_and_listed_without_its_secret(call: Any) -> None:
    shown = call("create", "--tenant", "acme", "--scope", "jobs:read", "--expires-in", "30")
    key = read_key(shown.stdout.strip())
    assert key is not None, "nothing but the key is on stdout"

    (one,) = listed(call)
    assert (one["prefix"], one["tenant"], one["scopes"]) == (key.prefix, "acme", ["jobs:read"])
    assert (one["status"], one["last_used_at"]) == ("active", None)
    assert key.text[17:] not in json.dumps(listed(call)) + call("list").output


def test_a_rotated_and_a_revoked_key_end(call: Any) -> None:
    old = json.loads(call("create", "--json").stdout)
    new = json.loads(call("rotate", old["prefix"], "--overlap", "0", "--json").stdout)
    assert {one["prefix"]: one["status"] for one in listed(call)} == {
        old["prefix"]: "expired",
        new["prefix"]: "active",
    }
    call("revoke", new["key"])  # the whole key names itself as well
    assert [one["status"] for one in listed(call)] == ["expired", "revoked"]
    assert "create a new key" in call("rotate", new["prefix"], code=2).stderr


def test_wrong_use_is_told_with_the_remedy(call: Any) -> None:
    assert "there are models:read" in call("create", "--scope", "all", code=2).stderr
    assert "small letters" in call("create", "--tenant", "../x", code=2).stderr
    assert "no key" in call("revoke", "nothing", code=2).stderr
    assert listed(call) == []
