"""What runs on a GPU, and is skipped where there is none.

EIGENPRESS_TEST_DEVICE=cpu runs the same tests on the CPU, which says nothing about a GPU but all about the tests.
"""

from pathlib import Path

import pytest
import torch

from tests.gpu.jobs import DEVICE

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    if DEVICE.type != "cuda" or torch.cuda.is_available():
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip("this machine has no CUDA device"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Digits, with labels and without, and the nets that are trained on them."""
    from tests.support.digits import save_all, save_digits

    path = save_all(tmp_path_factory.mktemp("gpu"))
    save_digits(path / "unlabelled.npz", y_train=None, y_val=None, y_test=None)
    return path
