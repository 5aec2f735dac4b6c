"""What all tests share: the files that take longest come first, and jobs measure briefly what a test does not ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Each file runs as a whole, so that one of these that came last would keep one process busy and the others idle.
LONGEST = (
    "service/api/test_contract.py",
    "data_meaning/test_wrecks.py",
    "worker/test_deaths.py",
    "spectral_engine/graph/test_bites.py",
    "spectral_engine/graph/test_placement.py",
    "spectral_engine/graph/test_free_axes.py",
    "spectral_engine/methods/sparse/test_policy.py",
    "spectral_engine/methods/test_at_once.py",
    "spectral_engine/graph/test_zoo.py",
    "spectral_engine/judging/test_seen_rows.py",
    "tasks/test_detection.py",
    "service/cli/test_main.py",
    "system/test_imports.py",
    "system/test_deaths.py",
)
FEW_SAMPLES, SHORT_SAMPLE, FEW_STEPS = 60, 3e-4, 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {HERE / name: position for position, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(LONGEST)))


@pytest.fixture(autouse=True, scope="module")
def brief_measurements(request: pytest.FixtureRequest) -> Iterator[None]:
    """Time models and explain inputs in few steps; `measured_in_full` leaves both as users have them."""
    if request.node.get_closest_marker("measured_in_full"):
        yield
        return
    from spectral_engine.explain import input_path
    from spectral_engine.measure import latency

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "MOST_SAMPLES", FEW_SAMPLES)
        patch.setattr(latency, "SAMPLE_SECONDS", SHORT_SAMPLE)
        patch.setattr(input_path, "STEPS", FEW_STEPS)
        yield
