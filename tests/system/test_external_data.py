"""A model whose weights lie in a file of their own, through the whole service."""

import httpx2
import onnx
import pytest

from service.client import Client, JobFailed
from tests.support.external import save_external

QUICK = {"target": {"max_macs": 0.6}, "training": {"epochs": 1}, "prune": {"candidates": 2}}


@pytest.fixture
def model(tmp_path):
    return save_external(tmp_path / "net.onnx")


def test_a_model_in_two_files_is_analyzed_and_compressed_into_one(service, files, model, tmp_path):
    with Client(service.url) as client:
        sent = client.models.create(model, external=[model.with_suffix(".data")])
        assert [file.name for file in sent.external] == ["net.data"]
        analysis = client.analyses.create(model=sent.id).wait(60)
        assert analysis.result is not None
        assert analysis.result.model_sha256 == sent.sha256
        data = client.datasets.create(files[1])
        job = client.jobs.create(model=sent.id, dataset=data.id, recipe=QUICK).wait(120)
        assert job.status == "succeeded"
        smaller = onnx.load(job.download_model(tmp_path / "small.onnx"))
    both = sent.size_bytes + sum(file.size_bytes for file in sent.external)
    assert smaller.ByteSize() < both
    assert job.result is not None
    assert job.result["metrics"]["baseline"]["file_bytes"] == both
    path = f"{service.url}/v1/models/{sent.id}/external/net.data"
    assert httpx2.get(path).content == model.with_suffix(".data").read_bytes()


@pytest.mark.parametrize(
    ("location", "told"), [("other", "missing"), ("../../../secret", "leaves")]
)
def test_external_data_that_are_not_there_are_refused_by_name(service, model, location, told):
    proto = onnx.load(model, load_external_data=False)
    tensor = next(t for t in proto.graph.initializer if t.external_data)
    next(e for e in tensor.external_data if e.key == "location").value = location
    model.write_bytes(proto.SerializeToString())
    with Client(service.url) as client:
        sent = client.models.create(model, external=[model.with_suffix(".data")])
        with pytest.raises(JobFailed, match=told) as failed:
            client.analyses.create(model=sent.id).wait(60)
    assert failed.value.problem.code == "model-invalid"
    assert tensor.name in failed.value.problem.detail
    assert location in failed.value.problem.detail
