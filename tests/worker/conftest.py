"""A queue, records, and a worker: all of them real."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import brokers
from tests.support.working import Shop, impatient, running_worker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    with brokers.valkey(tmp_path / "broker") as url:
        yield url


@pytest.fixture
def shop(tmp_path: Path, broker: str) -> Shop:
    """Records and a queue, and nobody at work."""
    return Shop(impatient(tmp_path / "data", broker_url=broker))


@pytest.fixture(scope="module")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Records, a queue and one worker, for tests that leave all of them as they were."""
    folder = tmp_path_factory.mktemp("staffed")
    with brokers.valkey(folder / "broker") as url:
        shop = Shop(impatient(folder / "data", broker_url=url))
        with running_worker(shop.settings):
            yield shop
