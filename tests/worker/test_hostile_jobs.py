"""Hostile files in the real engine, under a worker's limits: one attempt, the right code, and nothing left behind."""

from collections.abc import Iterator

import pytest
from onnx import helper

from tests.support import brokers
from tests.support.digits import save_digits
from tests.support.hostile_models import GROWING, floats, hostile, summed
from tests.support.raw_archives import npy_header, packed, write_zip
from tests.support.working import Shop, impatient, running_worker

RECIPE = {"training": {"epochs": 1}, "prune": {"candidates": 1}}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("hostile")
    with brokers.valkey(folder / "broker") as url:
        limits = {"max_job_memory_bytes": 2 << 30, "max_job_disk_bytes": 1 << 30}
        settings = impatient(folder / "data", broker_url=url, **limits)
        with running_worker(settings, "spectral_engine:compress"):
            yield Shop(settings)


def as_long_as_its_input_says() -> bytes:
    """Return a net that makes a value whose lengths are numbers of its input: nothing tells them ahead."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Mul", ["m", "zero"], ["z"]),
        helper.make_node("Add", ["z", "long"], ["l"]),
        helper.make_node("Cast", ["l"], ["s"], to=7),
        helper.make_node("Expand", ["one", "s"], ["c"]),
    ]
    tensors = [floats("zero", 0), floats("long", [40_000, 40_000]), floats("one", [1])]
    return hostile(summed(*nodes), tensors)


def test_a_model_that_grows_fails_as_too_large_and_one_that_grows_as_it_runs_lacks_memory(
    shop: Shop, tmp_path
):
    data = save_digits(tmp_path / "d.npz").read_bytes()
    jobs = {
        "model-too-large": shop.submit(files=(GROWING["ConstantOfShape"](), data), **RECIPE),
        "out-of-memory": shop.submit(files=(as_long_as_its_input_says(), data), **RECIPE),
    }
    for code, job_id in jobs.items():
        job = shop.ended(job_id)
        assert (job.status, job.attempt) == ("failed", 1)
        assert job.error is not None
        assert job.error["code"] == code, job.error


def test_a_data_set_that_grows_is_refused(shop: Shop, tmp_path):
    rows = 2**18
    model = hostile(summed(helper.make_node("Identity", ["W"], ["c"])))
    one = packed(npy_header((rows, 64)), rows * 256)
    many = write_zip(tmp_path / "many.npz", {f"x{at}.npy": one for at in range(200)})
    broken = write_zip(tmp_path / "broken.npz", {"x.npy": packed(npy_header((-10, -64)), 2560)})
    for path in (many, broken):
        job = shop.ended(shop.submit(files=(model, path.read_bytes()), **RECIPE))
        assert (job.status, job.attempt) == ("failed", 1)
        assert job.error is not None
        assert job.error["code"] == "dataset-mismatch", job.error
    assert not list(shop.settings.scratch_dir("").glob("job_*")), "no file is left"
