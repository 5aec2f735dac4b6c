"""Models whose weights no single file holds, from file to file. Here one file holds next to nothing."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import onnx
import pytest

import spectral_engine as se
from spectral_engine.errors import ModelTooLarge
from spectral_engine.measure.runtime import open_session
from spectral_engine.methods import run as run_module
from spectral_engine.onnx_io import save
from spectral_engine.records.progress import Progress
from spectral_engine.result import Candidate, Result
from tests.support.digits import save_digits, save_model, splits
from tests.support.external import save_external
from tests.support.split_files import FEW_BYTES

RECIPE = se.Recipe(
    target={"keep_nodes": 0.5}, training={"epochs": 2}, prune={"candidates": 2}, seed=3
)
KINDS = ["perceptron", "convolutional"]


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    save_digits(folder / "digits.npz")
    for kind in KINDS:
        save_model(folder / f"{kind}.onnx", kind)
    save_external(folder / "external.onnx")
    return folder


def run(digits_folder: Path, kind: str, work_dir: Path | None = None) -> Result:
    return se.compress(
        digits_folder / f"{kind}.onnx", digits_folder / "digits.npz", RECIPE, work_dir=work_dir
    )


@pytest.fixture(scope="module", params=[*KINDS, "external"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def whole(digits_folder: Path, kind: str) -> Result:
    """The result where everything fits in one file."""
    return run(digits_folder, kind)


@pytest.fixture(scope="module")
def large(digits_folder: Path, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(save, "ONE_FILE_BYTES", FEW_BYTES)
        return run(digits_folder, kind, tmp_path_factory.mktemp("work"))


def weights(candidate: Candidate) -> dict[str, bytes]:
    proto = onnx.load(candidate.path)
    return {
        tensor.name: onnx.numpy_helper.to_array(tensor).tobytes()
        for tensor in proto.graph.initializer
    }


def answers(file: Path) -> np.ndarray:
    return np.asarray(open_session(file).run(None, {"x": splits()["x_test"]})[0])


def test_where_weights_lie_changes_not_one_of_their_bits(whole: Result, large: Result) -> None:
    assert len(whole.candidates) == len(large.candidates) == 2
    for one, other in zip(whole.candidates, large.candidates, strict=True):
        assert not one.external
        assert other.external
        assert weights(one) == weights(other)
        assert one.entry.measurement.metric == other.entry.measurement.metric


def test_each_candidate_is_proved_exact_and_measured_with_all_its_files(large: Result) -> None:
    for candidate in large.candidates:
        exactness = candidate.entry.exactness
        assert exactness.max_abs_difference <= 1e-5 * max(1.0, exactness.max_abs_output)
        sizes = [file.stat().st_size for file in (candidate.path, *candidate.external)]
        assert candidate.entry.measurement.file_bytes == sum(sizes)
    assert large.chosen.entry.measurement.latency


def test_nothing_but_candidates_and_checkpoint_is_left(large: Result) -> None:
    folder = large.chosen.path.parent
    known = {file for one in large.candidates for file in (one.path, *one.external)}
    known |= {one.path.with_suffix(".json") for one in large.candidates}
    beside = {"checkpoint.safetensors", "memory-sign.json"}
    if any(width.layer.endswith("Conv") for width in large.candidates[0].entry.widths):
        beside.add("blocks.json")  # what convolutions are rounded to, also where the job resumes
    assert {*folder.iterdir()} == known | {folder / name for name in beside}


def test_what_is_saved_lies_in_two_files_that_go_together(large: Result, tmp_path: Path) -> None:
    saved = large.chosen.save(tmp_path / "a.onnx")

    assert {file.name for file in tmp_path.iterdir()} == {"a.onnx", "a.onnx.data"}
    accuracy = float((answers(saved).argmax(1) == splits()["y_test"]).mean())
    metric = large.chosen.entry.measurement.metric
    assert metric is not None
    assert accuracy == pytest.approx(metric.value)
    again = se.load(saved)
    assert again.output_names == ("logits",)


def test_bytes_that_would_lack_the_weights_are_not_given(large: Result) -> None:
    with pytest.raises(ModelTooLarge, match="save"):
        _ = large.chosen.model_bytes


class Stopped(Exception):
    """The process that ran the job is gone."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_stopped_resumes_and_gives_the_same_files(
    digits_folder: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save, "ONE_FILE_BYTES", FEW_BYTES)
    whole = run(digits_folder, kind)

    def stop(progress: Progress) -> None:
        if progress.fraction > 0.6:
            raise Stopped

    with pytest.raises(Stopped):
        se.compress(
            digits_folder / f"{kind}.onnx",
            digits_folder / "digits.npz",
            RECIPE,
            stop,
            tmp_path / "work",
        )
    resumed = run(digits_folder, kind, tmp_path / "work")

    for one, other in zip(whole.candidates, resumed.candidates, strict=True):
        assert [file.name for file in one.external] == [file.name for file in other.external]
        assert weights(one) == weights(other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trunk_that_waits_on_disk_goes_on_as_if_it_had_not(
    digits_folder: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = run(digits_folder, kind)
    monkeypatch.setattr(run_module, "SPILLED_BYTES", 0)

    spilled = run(digits_folder, kind, tmp_path)

    assert [c.model_bytes for c in spilled.candidates] == [
        c.model_bytes for c in straight.candidates
    ]
    assert not (tmp_path / "trunk.safetensors").exists()


def test_candidates_outlive_the_result_and_their_files_go_with_the_last(
    digits_folder: Path,
) -> None:
    candidate = run(digits_folder, "perceptron").chosen
    folder = candidate.path.parent
    gc.collect()
    assert candidate.model_bytes

    del candidate
    gc.collect()

    assert not folder.exists()
