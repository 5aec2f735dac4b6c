"""Analyses under a worker: first in the queue, under the same lease, and the engine's errors are theirs."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from service.store.jobs.repository import JobRepository
from service.store.models.repository import ModelRepository
from tests.support.digits import trained
from tests.support.working import Shop, impatient
from worker.claims import Stores, claim_next


def ask(shop: Shop, content: bytes, ring: bool = True, **target: float) -> str:
    """Queue an analysis; return its id."""
    with shop.database.begin() as session:
        sha256, size_bytes = shop.artifacts.put_bytes(content)
        model = ModelRepository(session).add(
            name=None, file_name=None, sha256=sha256, size_bytes=size_bytes
        )
        row = JobRepository(session).create(
            kind="analysis",
            model_id=model.id,
            dataset_id=None,
            recipe={"target": target or None, "batch_size": 4},
            queue="cpu",
        )
    if ring:
        assert shop.notifier.notify(row.id, row.queue)
    return row.id


def unknown_operator() -> bytes:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy"]
    node = helper.make_node("Magic", ["x"], ["y"], name="spell")
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    return bytes(helper.make_model(graph).SerializeToString())


def test_an_analysis_is_taken_before_every_compression(tmp_path) -> None:
    shop = Shop(impatient(tmp_path / "data", broker_url="redis://127.0.0.1:1/0"))
    stores = Stores(shop.settings, shop.database, shop.artifacts)
    shop.submit(ring=False, queue="gpu", priority=100)
    analysis = ask(shop, b"m", ring=False)

    first = claim_next(stores, "me", ["gpu", "cpu"])
    second = claim_next(stores, "me", ["gpu", "cpu"])

    assert first is not None
    assert second is not None
    assert (first.id, first.dataset) == (analysis, None)
    assert second.job.queue == "gpu"
    assert claim_next(stores, "me", ["gpu", "cpu"]) is None


def test_a_real_model_is_analyzed_and_its_folder_is_gone(staffed: Shop) -> None:
    row = staffed.ended(ask(staffed, trained(), max_macs=0.5))

    assert row.status == "succeeded", row.error
    assert row.result is not None
    assert row.result["target"]["feasible"] is True
    assert row.result["estimate"]["batch_size"] == 4
    assert row.result["now"]["nodes"] > row.result["floor"]["nodes"]
    assert np.isfinite(row.result["estimate"]["memory_bytes"])
    assert row.usage is not None
    assert row.usage["cpu_seconds"] > 0
    staffed.until(lambda: not staffed.settings.scratch_dir(row.id).exists())


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"not a model", "model-invalid"), (unknown_operator(), "unsupported-operator")],
)
def test_the_engine_s_errors_are_the_analysis_s(staffed: Shop, content: bytes, code: str) -> None:
    row = staffed.ended(ask(staffed, content))

    assert (row.status, row.attempt) == ("failed", 1)
    assert row.error is not None
    assert row.error["code"] == code
    if code == "unsupported-operator":
        assert row.error["node"]["name"] == "spell"
        assert row.error["node"]["op_type"] == "Magic"
