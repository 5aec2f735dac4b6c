"""`validate_only` through the whole service: a real worker looks at real data, and nothing trains."""

import httpx2
import numpy as np
import pytest

from service.client import ApiError, Client, JobFailed
from spectral_engine import check
from spectral_engine.data_check import dry_run
from tests.support.digits import save_digits, splits

# Long enough for a worker that has to import everything on a busy machine.
PATIENCE = 120


@pytest.fixture(scope="module")
def client(service):
    with Client(service.url) as client:
        yield client


@pytest.fixture(scope="module")
def model(client, files):
    return client.models.create(files[0]).id


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """The digits with their labels three further on."""
    labels = {f"y_{part}": (splits()[f"y_{part}"] + 3) % 10 for part in ("train", "val", "test")}
    return save_digits(tmp_path_factory.mktemp("turned") / "turned.npz", **labels)


def how_the_job_fails(client, **asked):
    with pytest.raises(JobFailed) as failed:
        client.jobs.create(**asked).wait(PATIENCE)
    return failed.value.problem


def how_validation_fails(client, **asked):
    with pytest.raises(ApiError) as failed:
        client.jobs.validate(**asked, wait_seconds=PATIENCE)
    return failed.value.problem


def test_it_says_what_the_library_says_and_asks_a_worker_once(client, files):
    model, data = client.models.create(files[0]).id, client.datasets.create(files[1]).id
    asked = {"model": model, "dataset": data}
    told = client.jobs.validate(
        **asked, recipe={"metric": "f1_macro", "seed": 4}, wait_seconds=PATIENCE
    )
    assert told.status == "checked"
    assert told.data == dry_run(*files, {"metric": "f1_macro", "seed": 4})
    assert told.data.meaning == check(*files).meaning
    again = client.jobs.validate(
        **asked, recipe={"metric": "f1_macro", "seed": 4, "training": {"epochs": 2}}, wait_seconds=0
    )
    assert (again.status, again.analysis, again.data) == ("checked", told.analysis, told.data)
    assert client.jobs.list(model=model).data == []


@pytest.mark.parametrize(
    ("recipe", "code", "pointer"),
    [
        ({}, "dataset-mismatch", "#/labels/classes"),
        ({"labels": {"output": "nothing"}}, "invalid-request", "#/labels/output"),
        (
            {"allow_poor_original": True, "target": {"max_macs": 1e-9}},
            "target-infeasible",
            "#/recipe/target/max_macs",
        ),
    ],
)
def test_it_fails_as_the_job_does(client, model, turned, recipe, code, pointer):
    asked = {"model": model, "dataset": client.datasets.create(turned).id, "recipe": recipe}
    problem = how_validation_fails(client, **asked)
    assert (problem.code, problem.errors[0].pointer) == (code, pointer)
    expected = how_the_job_fails(client, **asked)
    assert (problem.status, problem.detail) == (expected.status, expected.detail)
    assert (problem.code, problem.errors) == (expected.code, expected.errors)


def test_what_the_recipe_says_of_the_labels_is_taken(client, model, turned):
    order = [3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    told = client.jobs.validate(
        model=model,
        dataset=client.datasets.create(turned, seen_by_original=["train"]).id,
        recipe={"labels": {"classes": order}},
        wait_seconds=PATIENCE,
    )
    assert told.data is not None
    assert told.data.meaning.classes == [str(label) for label in order]
    assert told.data.original.value > 0.9


def test_splits_named_beside_a_data_set_that_has_none_are_its_error(client, model, tmp_path):
    rows = splits()
    np.savez(tmp_path / "whole.npz", x=rows["x_train"], y=rows["y_train"])
    data = client.datasets.create(tmp_path / "whole.npz", seen_by_original=["test"]).id
    problem = how_validation_fails(client, model=model, dataset=data)
    assert (problem.code, problem.errors[0].pointer) == ("invalid-request", "#/seen_by_original")
    told = client.jobs.validate(
        model=model, dataset=data, recipe={"seen_by_original": False}, wait_seconds=PATIENCE
    )
    assert told.status == "checked"


def test_bare_requests_wait_by_default(service, model, client, files):
    body = {"model": model, "dataset": client.datasets.create(files[1], label="y").id}
    answer = httpx2.post(
        f"{service.url}/v1/jobs", params={"validate_only": "true"}, json=body, timeout=60
    )
    assert answer.status_code == 200
    assert answer.json()["status"] == "checked"
