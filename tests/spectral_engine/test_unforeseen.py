"""What nobody foresaw ends as `internal`, with what the engine was doing; what the caller raised stays the caller's."""

import numpy as np
import pytest

import spectral_engine as se
from spectral_engine.errors import InvalidRequest
from spectral_engine.unforeseen import unforeseen
from tests.support.digits import save_all


@pytest.mark.parametrize(
    "error", [ValueError("odd\nshape"), KeyError("w"), RuntimeError("no"), NotImplementedError()]
)
def test_a_mistake_of_the_engine_is_told_as_one(error):
    with pytest.raises(se.EngineError) as caught, unforeseen(lambda: "reading the data"):
        raise error
    assert caught.value.code == "internal"
    assert f"{type(error).__name__} while reading the data" in caught.value.detail
    assert "please report this line" in caught.value.detail
    assert "\n" not in caught.value.detail
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError("disk full"),
        RuntimeError("CUDA error"),
        KeyboardInterrupt(),
        InvalidRequest("no"),
    ],
)
def test_what_may_do_better_another_time_or_was_foreseen_passes(error):
    with pytest.raises(type(error)) as caught, unforeseen(lambda: "training"):
        raise error
    assert caught.value is error


def test_an_error_of_the_callback_reaches_the_caller_as_it_is(tmp_path):
    folder, error = save_all(tmp_path), ValueError("the caller's own")

    def stop(progress):
        if progress.stage == "training":
            raise error

    with pytest.raises(ValueError, match="the caller's own") as caught:
        se.compress(
            folder / "perceptron.onnx", folder / "digits.npz", {"target": {"keep_nodes": 0.5}}, stop
        )
    assert caught.value is error


@pytest.mark.parametrize(
    ("recipe", "path"),
    [
        ({"target": {"max_macs": "half"}}, "recipe/target/max_macs"),
        ({"methud": "prune"}, "recipe/methud"),
        ("{not json", "recipe"),
        ({"training": {"epochs": -1}, "seed": "x"}, "recipe/training/epochs"),
    ],
)
def test_a_recipe_that_cannot_be_read_names_its_field(tmp_path, recipe, path):
    np.save(tmp_path / "x.npy", np.zeros((4, 4)))
    for entry in (se.compress, se.check):
        with pytest.raises(InvalidRequest) as caught:
            entry(tmp_path / "none.onnx", tmp_path / "x.npy", recipe)
        assert caught.value.pointer == f"#/{path}"
