"""How often a job reads its files: each is parsed once, and opened once for each way of running it."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import spectral_engine as se
from spectral_engine.onnx_io import load, source
from tests.support.digits import splits, trained


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return how often a job of eight candidates parsed and opened each file."""
    folder = tmp_path_factory.mktemp("once")
    model, data, work = folder / "model.onnx", folder / "data.npz", folder / "work"
    model.write_bytes(trained())
    np.savez(data, **splits())
    parsed, opened = Counter(), Counter()
    parse, session = load.parse_model, onnxruntime.InferenceSession

    def counting_parse(file, *more):
        parsed[Path(str(file)).name] += 1
        return parse(file, *more)

    def counting_session(file, *more, **options):
        opened[Path(str(file)).name] += 1
        return session(file, *more, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "parse_model", counting_parse)
        patch.setattr(source, "parse_model", counting_parse)
        patch.setattr(onnxruntime, "InferenceSession", counting_session)
        target = {"max_metric_drop": 0.05}
        recipe = {"target": target, "training": {"epochs": 3}}
        result = se.compress(model, data, recipe, work_dir=work)
    assert len(result.candidates) == 8
    return parsed, opened, result


def test_every_file_is_parsed_once(read):
    parsed, _, _ = read
    assert parsed == {"model.onnx": 1, **{f"candidate-{index}.onnx": 1 for index in range(8)}}


def test_the_original_is_opened_to_answer_and_to_be_timed(read):
    assert read[1]["model.onnx"] == 2


def test_a_candidate_is_opened_to_be_proved_and_to_answer_and_the_chosen_to_be_timed(read):
    _, opened, result = read
    chosen = result.chosen.path.name
    for index in range(8):
        name = f"candidate-{index}.onnx"
        assert opened[name] == 2 + (name == chosen)
