"""One service for the tests that only use it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.digits import save_digits, save_model
from tests.support.running_service import IMPATIENT, RunningService, running_service


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A trained perceptron and the digits that it was trained on."""
    folder = tmp_path_factory.mktemp("files")
    return save_model(folder / "digits.onnx"), save_digits(folder / "digits.npz")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("service"), **IMPATIENT) as running:
        yield running
