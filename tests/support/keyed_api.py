"""An API that asks for keys, and keys for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from service.api.app import create_app
from service.settings import Settings
from service.store.keys.repository import KeyRepository
from tests.support.running_api import NO_BROKER


@contextmanager
def keyed_api(data_dir: Path, **settings: Any) -> Iterator[TestClient]:
    """Serve, without a network, an API that lets nobody in without a key."""
    given: dict[str, Any] = {"data_dir": data_dir, "broker_url": NO_BROKER, "require_keys": True}
    with TestClient(create_app(Settings(**(given | settings)))) as client:
        yield client


def new_key(api: TestClient, **given: Any) -> str:
    """Return the text of a new key."""
    app = api.app
    assert isinstance(app, FastAPI)
    with app.state.application.database.begin() as session:
        _, key = KeyRepository(session).create(**given)
    return key.text


def bearing(key: str) -> dict[str, str]:
    """Return the header that carries a key."""
    return {"Authorization": f"Bearer {key}"}
