"""A method and a score that are not ours: defined here, asked for by name, and found in the recipe's schema."""

import numpy as np
import onnxruntime
import pytest
from pydantic import Field, ValidationError

import spectral_engine as se
from spectral_engine.methods.policy import Policy
from spectral_engine.records.method import METHODS, Method, refuse
from spectral_engine.records.part import Part
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.score import SCORES
from spectral_engine.spectral.score import Score
from tests.support.digits import splits, trained


class Thinning(Part):
    """The options of a method that takes every other node."""

    every: int = Field(2, ge=2, description="of the nodes, one goes")


class ThinningPolicy(Policy):
    """Trains, then takes every n-th node that may go."""

    def choose(self, trainer, state, scores, event):
        coupling = trainer.model.coupling
        free = np.flatnonzero(coupling.alive() & ~coupling.pinned)
        going = np.zeros(coupling.count, dtype=bool)
        going[free[:: self.plan.recipe.thinning.every]] = True
        return going


def check_thinning(recipe):
    refuse(recipe, ["density"], "thinning keeps all links")
    return recipe


@pytest.fixture
def thinning():
    METHODS.register("thinning", Method(lambda: ThinningPolicy, Thinning, check_thinning))
    yield
    METHODS.withdraw("thinning")


@pytest.fixture
def first_come():
    """A score by which nodes go in the order of the graph."""
    rank = lambda nodes, change: np.arange(nodes.count, dtype=float)  # noqa: E731
    SCORES.register("first_come", Score(rank))
    yield
    SCORES.withdraw("first_come")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extending")
    (folder / "model.onnx").write_bytes(trained())
    np.savez(folder / "data.npz", **splits())
    return folder


def run(files, recipe):
    return se.compress(files / "model.onnx", files / "data.npz", recipe)


def test_a_method_of_ones_own_runs_a_job_and_stands_in_the_schema(files, thinning):
    schema = Recipe.model_json_schema()
    assert "thinning" in schema["properties"]["method"]["enum"]
    assert schema["$defs"]["Thinning"]["properties"]["every"]["default"] == 2
    asked = {"method": "thinning", "thinning": {"every": 3}, "target": {"max_params": 0.9}}
    result = run(files, asked | {"training": {"epochs": 2}})
    report = result.report.data
    assert (report.method, report.recipe["thinning"]) == ("thinning", {"every": 3})
    assert sorted(w.before - w.after for w in result.chosen.entry.widths) == [0, 16, 16]
    session = onnxruntime.InferenceSession(result.chosen.model_bytes)
    logits = session.run(None, {"x": splits()["x_test"]})[0]
    assert (logits.argmax(1) == splits()["y_test"]).mean() == pytest.approx(
        result.chosen.entry.measurement.metric.value
    )


def test_a_method_of_ones_own_refuses_what_it_cannot_do(thinning):
    with pytest.raises(ValidationError, match="thinning keeps all links"):
        Recipe(method="thinning", target={"density": 0.5})
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Recipe(method="thinning", thinning={"every": 1})


def test_a_method_that_was_withdrawn_is_known_no_more():
    with pytest.raises(ValidationError, match="'prune', 'retrain' or 'sparse'"):
        Recipe(method="thinning")
    with pytest.raises(ValidationError, match="thinning"):
        Recipe.model_validate({"thinning": {"every": 2}})
    assert "Thinning" not in Recipe.model_json_schema()["$defs"]


def test_a_score_of_ones_own_decides_what_goes_and_stands_in_the_schema(files, first_come):
    names = Recipe.model_json_schema()["$defs"]["Prune"]["properties"]["score"]["enum"]
    assert "first_come" in names
    recipe = {
        "target": {"keep_nodes": 0.5},
        "prune": {"score": "first_come", "when": "post", "candidates": 1},
        "training": {"epochs": 1},
    }
    for layer in _layers(run(files, recipe).report.data.relevance).values():
        removed = [node.index for node in layer if not node.kept]
        assert removed == list(range(len(removed)))


def _layers(nodes):
    by_layer = {}
    for node in nodes:
        by_layer.setdefault(node.layer, []).append(node)
    return by_layer


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ValueError, match="stands there already"):
        METHODS.register("prune", METHODS.get("prune"))


def test_a_score_that_nobody_knows_is_refused_with_those_that_are():
    with pytest.raises(ValidationError, match="'eigenvalue'"):
        Recipe(prune={"score": "mystery"})
