"""A model over what one file holds, through the whole service; here one file holds next to nothing."""

from collections.abc import Iterator

import httpx2
import numpy as np
import onnx
import pytest

from service.client import Client
from spectral_engine.measure.runtime import open_session
from tests.support.digits import splits
from tests.support.external import save_external
from tests.support.running_service import IMPATIENT, RunningService, running_service

QUICK = {"target": {"keep_nodes": 0.5}, "training": {"epochs": 1}, "prune": {"candidates": 2}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    engine = "tests.support.split_files:compress"
    with running_service(tmp_path_factory.mktemp("s"), engine=engine, **IMPATIENT) as running:
        yield running


def test_what_does_not_fit_in_one_file_comes_back_in_several(service, files, tmp_path):
    model = save_external(tmp_path / "net.onnx")
    with Client(service.url) as client:
        sent = client.models.create(model, external=[model.with_suffix(".data")])
        data = client.datasets.create(files[1])
        job = client.jobs.create(model=sent.id, dataset=data.id, recipe=QUICK).wait(180)
        assert job.status == "succeeded", job.error
        wide, chosen = job.candidates()
        created = [e for e in job.events() if e.type == "job.candidate_created"]
        assert len(created) == 2, "each is announced once"
        (tmp_path / "out").mkdir()
        saved = job.download_model(tmp_path / "out" / "small.onnx")
        (tmp_path / "wide").mkdir()
        other = job.download_model(tmp_path / "wide" / "wide.onnx", candidate=wide.id)
        (file,) = chosen.external
        url = f"{service.url}/v1/jobs/{job.id}/model/external/{file.name}"
        assert len(httpx2.get(url).content) == file.size_bytes
    assert {one.name for one in saved.parent.iterdir()} == {"small.onnx", file.name}
    accuracy = job.result["metrics"]["compressed"]["accuracy"]
    for path, measured in ((saved, accuracy), (other, None)):
        onnx.checker.check_model(str(path))
        (logits,) = open_session(path).run(None, {"x": splits()["x_test"]})
        recomputed = float(np.mean(logits.argmax(1) == splits()["y_test"]))
        assert measured is None or recomputed == pytest.approx(measured)
    names = [one["name"] for one in job.result["artifacts"]]
    assert names[:2] == ["model.onnx", file.name]
    assert job.result["metrics"]["compressed"]["file_bytes"] == chosen.size_bytes + file.size_bytes
