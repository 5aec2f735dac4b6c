"""What no training moved leaves as it came, bit for bit; what trained leaves in its type; and the proof sees both."""

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

import spectral_engine as se
from examples.specimens.zoo import DOUBLES, Specimen, specimen
from spectral_engine.errors import NumericMismatch
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.methods.candidate import Cut, export, prove_exact, untrained
from spectral_engine.methods.run import CompressionRun
from spectral_engine.planning import plan, start_run
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.progress import ignore
from tests.support.cutting import difference, in_onnxruntime, random_removal
from tests.support.zoo_rows import save_rows

FORMS = {
    "one_sided": {},
    "two_sided": {"spectral": {"two_sided": True}},
    "eigenvalues": {"spectral": {"train": "eigenvalues"}},
    "masked": {"method": "sparse", "target": {"density": 0.5}},
    "svd": {"method": "retrain", "spectral": {"train": "svd"}},
    "qr": {"method": "retrain", "spectral": {"train": "qr"}},
}
# What float32 cannot hold, numbers that are no normal ones, and both zeros.
ODD = {np.dtype(np.float32): (1e-40, -1e-44, -0.0), np.dtype(np.float64): (1e-310, 5e-324, -0.0)}


def arrays_of(model: bytes) -> dict[str, NDArray[np.generic]]:
    graph = onnx.load_from_string(model).graph
    return {
        initializer.name: numpy_helper.to_array(initializer) for initializer in graph.initializer
    }


def changed(model: bytes, change) -> bytes:
    """Return the file with `change(name, array)` made on every float initializer."""
    proto = onnx.load_from_string(model)
    for initializer in proto.graph.initializer:
        array = numpy_helper.to_array(initializer).copy()
        if array.dtype.kind == "f":
            initializer.CopyFrom(
                numpy_helper.from_array(change(initializer.name, array), initializer.name)
            )
    return proto.SerializeToString()


def with_odd_numbers(name, array):
    """Put the odd ones into the last entries of whatever is large enough."""
    if array.size > 4:
        array.reshape(-1)[-3:] = ODD[array.dtype]
    return array


def run_over(model: bytes, rows, folder, form="one_sided") -> CompressionRun:
    """Return the run of a job that has not begun."""
    asked = {
        "target": {"keep_nodes": 0.5},
        "allow_poor_original": True,
        "training": {"epochs": 1, "batch_size": 64, "swap_noise": 0.0},
        **FORMS[form],
    }
    if asked.get("method") == "retrain":
        del asked["target"]
    (folder / "in.onnx").write_bytes(model)
    job = prepare(folder / "in.onnx", rows, se.Recipe.parse(asked), label=None, preprocessing=None)
    return start_run(job, plan(job, folder, ignore))


@dataclass(frozen=True)
class Made:
    """A candidate's file, and how it was cut."""

    model: bytes
    cut: Cut


def make(run: CompressionRun, removed, folder, trainer=None) -> Made:
    twin = (trainer or run.trainer).fork()
    cut = Cut(run.plan.original, run.plan.coupling, removed)
    export(twin.model, cut, {}, folder / "cut.onnx")
    return Made((folder / "cut.onnx").read_bytes(), cut)


def what_stays(made: Made, name: str, array):
    """Pick the entries of an original weight that no removed group owns, axis by axis."""
    for axis, ids in enumerate(made.cut.coupling.axes.get(name, ())):
        if ids is not None:
            array = np.compress(~made.cut.removed[ids], array, axis)
    return array


def differing(original: bytes, made: Made) -> list[str]:
    """Return the float initializers of which a bit differs where they were kept."""
    before, after = arrays_of(original), arrays_of(made.model)
    floats = {name: array for name, array in before.items() if array.dtype.kind == "f"}
    assert floats.keys() <= after.keys()
    return [
        name
        for name, array in floats.items()
        if after[name].dtype != array.dtype
        or after[name].tobytes() != what_stays(made, name, array).tobytes()
    ]


def case(net: Specimen, folder, form="one_sided"):
    model = changed(net.model, with_odd_numbers)
    run = run_over(model, save_rows(net, folder / "rows.npz"), folder, form)
    can_go = form not in {"svd", "qr"}
    removed = random_removal(run.plan.coupling, 0.5 if can_go else 0.0, seed=3)
    return model, run, removed


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [*DOUBLES, "perceptron_relu", "gated", "lstm"])
def test_a_candidate_that_was_not_trained_has_the_originals_bits(name, form, tmp_path):
    model, run, removed = case(specimen(name), tmp_path, form)
    if removed.any():
        run.trainer.narrow(removed)
    made = make(run, removed, tmp_path)
    assert differing(model, made) == []
    everything = arrays_of(model)
    prove_exact(made.cut, OpenedModel(tmp_path / "cut.onnx"), run.plan.samples, everything)


def test_bits_outlast_cuts_of_cuts_spills_reloads_and_checkpoints(tmp_path):
    model, run, removed = case(specimen("double_normalized"), tmp_path)
    half = removed.copy()
    half[np.flatnonzero(removed)[::2]] = False
    run.trainer.narrow(half)
    run.trainer.narrow(removed & ~half)
    twin = run.trainer.spill(tmp_path / "trunk.safetensors")
    assert differing(model, make(run, removed, tmp_path, twin)) == []
    run.trainer.reload(tmp_path / "trunk.safetensors")
    run.state.removed = removed
    run.checkpoint.save(run.state, run.trainer, run.relevance, run.policy, 0)
    other = start_run_again(run)
    assert differing(model, make(other, removed, tmp_path)) == []


def start_run_again(run: CompressionRun) -> CompressionRun:
    again = CompressionRun(run.plan, type(run.policy)(run.plan), run.start_trainer)
    assert again.checkpoint.load(again.trainer, again.relevance, again.policy) is not None
    return again


@pytest.mark.parametrize("name", DOUBLES)
def test_a_net_in_float64_trains_in_float64_and_is_written_as_it_trained(name, tmp_path):
    net = specimen(name)
    _, run, removed = case(net, tmp_path)
    run.trainer.narrow(removed)
    for step in range(4):
        run.trainer.step(run.plan.feed.at_step(step, 0), 1e-2)
    assert {tensor.dtype for tensor in run.trainer.tensors().values()} == {torch.float64}
    made, inputs = make(run, removed, tmp_path), net.sample(7)
    run.trainer.model.module.eval()
    with torch.no_grad():
        trained_answers = [value.numpy() for value in run.trainer.model(inputs).values()]
    assert difference(in_onnxruntime(made.model, inputs), trained_answers) < 1e-13
    trained = {n: a for n, a in arrays_of(made.model).items() if a.dtype == np.float64}
    rounded = [n for n, a in trained.items() if a.size > 4 and (a == a.astype(np.float32)).all()]
    assert rounded == []


def in_float32(*names):
    """Return what a way back through float32 makes of these weights."""

    def change(name, array):
        return array.astype(np.float32).astype(array.dtype) if name in names else array

    return change


def test_the_proof_refuses_an_untrained_weight_that_went_through_float32(tmp_path):
    _, run, removed = case(specimen("double_words"), tmp_path, "eigenvalues")
    run.trainer.narrow(removed)
    run.trainer.step(run.plan.feed.at_step(0, 0), 1e-2)
    made, left = make(run, removed, tmp_path), untrained(run.trainer.model)
    assert left == {"embed.weight"}
    path = tmp_path / "cut.onnx"
    prove_exact(made.cut, OpenedModel(path), run.plan.samples, left)
    path.write_bytes(changed(made.model, in_float32("inner.weight")))  # trained: its bits are new
    prove_exact(made.cut, OpenedModel(path), run.plan.samples, left)
    path.write_bytes(changed(made.model, in_float32("embed.weight")))
    with pytest.raises(NumericMismatch, match=r"'embed\.weight' was not trained"):
        prove_exact(made.cut, OpenedModel(path), run.plan.samples, left)


def test_the_proof_refuses_a_weight_of_another_type(tmp_path):
    _, run, removed = case(specimen("double_perceptron"), tmp_path)
    run.trainer.narrow(removed)
    made, path = make(run, removed, tmp_path), tmp_path / "cut.onnx"
    path.write_bytes(changed(made.model, lambda name, array: array.astype(np.float32)))
    with pytest.raises(NumericMismatch, match="is DOUBLE in the original, and FLOAT in the cut"):
        prove_exact(made.cut, OpenedModel(path), run.plan.samples, ())


def test_a_job_leaves_what_it_does_not_train_as_it_came(tmp_path):
    net = specimen("double_words")
    asked = {
        "method": "retrain",
        "spectral": {"train": "eigenvalues"},
        "allow_poor_original": True,
        "training": {"epochs": 2, "batch_size": 64},
    }
    done = se.compress(net.model, save_rows(net, tmp_path / "rows.npz"), asked)
    before, after = arrays_of(net.model), arrays_of(done.chosen.model_bytes)
    assert after["embed.weight"].tobytes() == before["embed.weight"].tobytes()
    assert after["inner.weight"].tobytes() != before["inner.weight"].tobytes()
    assert all(after[name].dtype == array.dtype for name, array in before.items())
