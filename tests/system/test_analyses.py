"""An analysis through the whole service: a real model, a real worker, the Python client."""

import httpx2
import pytest

from service.client import ApiError, Client, JobFailed
from spectral_engine import analyze, check
from tests.support.raw_http import upload


def test_a_real_model_is_analyzed_as_the_library_does(service, files):
    model = upload(service.url, "models", files[0])
    body = {"model": model["id"], "target": {"max_macs": 0.5}}
    asked = httpx2.post(f"{service.url}/v1/analyses", json=body)
    assert asked.status_code == 202
    where = service.url + asked.headers["location"]
    ended = httpx2.get(where, params={"wait": 30}, timeout=60).json()
    assert ended["status"] == "succeeded", ended["error"]
    expected = analyze(files[0], {"max_macs": 0.5}).model_dump(mode="json")
    result = dict(ended["result"])
    assert result.pop("estimate")["memory_bytes"] == expected.pop("estimate")["memory_bytes"]
    assert result == expected
    assert result["model_sha256"] == model["sha256"]


def test_the_client_waits_and_raises_what_the_engine_refused(service, files, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with Client(service.url) as client:
        good = client.analyses.create(model=client.models.create(files[0]).id).wait(60)
        assert good.result is not None
        assert "removable" in str(good.result)
        bad = client.analyses.create(model=client.models.create(broken).id)
        with pytest.raises(JobFailed) as failed:
            bad.wait(60)
    assert failed.value.problem.code == "model-invalid"


def test_an_analysis_says_what_a_data_set_means_beside_the_model(service, files):
    with Client(service.url) as client:
        model = client.models.create(files[0]).id
        data = client.datasets.create(files[1], labels={"task": "classification"}).id
        told = client.analyses.create(model=model, dataset=data).wait(60)
        assert told.dataset == data
        assert told.result is not None
        expected = check(files[0], files[1], labels={"task": "classification"})
        assert told.result.data == expected
        assert expected.meaning.reading in str(told.result)
        with pytest.raises(ApiError) as refused:
            client.analyses.create(model=model, dataset="ds_nothing")
    assert refused.value.status == 422
    assert "ds_nothing" in refused.value.problem.detail
