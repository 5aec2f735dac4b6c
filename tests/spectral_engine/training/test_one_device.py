"""On a GPU everything that trains lies on it, whatever a path does to a trainer. The GPU is pretended.

`tests/gpu` runs the same on a real one.
"""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import spectral_engine as se
from examples.specimens.zoo import specimen
from spectral_engine.errors import InvalidRequest
from spectral_engine.graph.coupling import couple
from spectral_engine.methods import run as run_module
from spectral_engine.methods.sparse.model import SparseModel
from spectral_engine.planning import plan, start_run
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.progress import ignore
from spectral_engine.spectral.fresh import draw_weights
from tests.support.digits import save_all, save_digits
from tests.support.pretended_device import Pretended, pretended_cuda

KINDS = pytest.mark.parametrize("kind", ["perceptron", "convolutional"])
METHODS = {
    "prune": {"target": {"keep_nodes": 0.5}, "prune": {"candidates": 2}},
    "sparse": {"target": {"density": 0.3}},
    "svd": {"method": "retrain", "spectral": {"train": "svd"}},
    "qr": {"method": "retrain", "spectral": {"train": "qr"}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = save_all(tmp_path_factory.mktemp("digits"))
    save_digits(path / "unlabelled.npz", y_train=None, y_val=None, y_test=None)
    return path


@pytest.fixture
def cuda():
    with pretended_cuda() as device:
        yield device


def recipe(method="prune", device="cuda:0", epochs=2, **more):
    parts = {"method": method} | METHODS.get(method, {}) | more
    return se.Recipe(training={**training(device), "epochs": epochs}, seed=1, **parts)


def path_over(folder, work, asked, kind="perceptron"):
    setup = prepare(
        folder / f"{kind}.onnx", folder / "digits.npz", asked, label=None, preprocessing=None
    )
    work.mkdir(exist_ok=True)
    return start_run(setup, plan(setup, work, ignore))


def tensors_of(run):
    """Return all tensors of a path by where they were found."""
    trainer, tensors = run.trainer, {}
    tensors |= trainer.tensors()
    tensors |= {f"module|{name}": p for name, p in trainer.model.module.named_parameters()}
    tensors |= {f"model|{name}": p for name, p in trainer.model.named_parameters()}
    tensors |= {f"buffer of model|{name}": b for name, b in trainer.model.named_buffers()}
    tensors |= {f"gradient|{key}": item.tensor.grad for key, item in trainer.trained.items()}
    for key, item in trainer.trained.items():
        for name, value in trainer.optimizer.state.get(item.tensor, {}).items():
            tensors[f"optimizer|{key}|{name}"] = value
    tensors |= {f"relevance|{n}": v for n, v in vars(run.relevance).items() if _is_tensor(v)}
    tensors |= {f"place|{n}": v for n, v in enumerate(run.relevance.nodes._places)}
    if isinstance(trainer.model, SparseModel):
        tensors |= {f"mask|{name}": mask for name, mask in trainer.model.masks.items()}
        for part in ("first", "last", "ever"):
            masks = getattr(run.policy.topology, part)
            tensors |= {f"{part}|{name}": value for name, value in masks.items()}
    return {name: value for name, value in tensors.items() if value is not None}


def _is_tensor(value):
    return isinstance(value, torch.Tensor)


def check_all_there(run):
    tensors = tensors_of(run)
    assert tensors
    elsewhere = {name for name, value in tensors.items() if not isinstance(value, Pretended)}
    assert not elsewhere


def take_steps(run, count=2, *, watched=True):
    """Train on; `watched` steps are those of the trunk, whose gradients are read."""
    for _ in range(count):
        run.policy.before_step(run.trainer, run.state.step + 1)
        batch = run.plan.feed.at_step(run.state.step, 1)
        run.trainer.step(batch, 1e-3, after_backward=run._observe if watched else None)
        run.state.step += 1


def cut_a_node(run):
    """Remove one node that may go."""
    coupling = run.trainer.model.coupling
    going = np.zeros(coupling.count, dtype=bool)
    going[np.flatnonzero(coupling.alive() & ~coupling.pinned)[0]] = True
    run.trainer.narrow(going)
    run.relevance.attach(run.trainer.model)


@KINDS
@pytest.mark.parametrize("method", ["prune", "sparse"])
def test_everything_is_there_after_steps_cuts_forks_spills_and_reloads(
    folder, tmp_path, cuda, kind, method
):
    run = path_over(folder, tmp_path, recipe(method), kind)
    check_all_there(run)
    take_steps(run)
    check_all_there(run)
    if method == "prune":
        cut_a_node(run)
        check_all_there(run)
        take_steps(run)
    trunk = run.trainer
    run.trainer = trunk.fork()
    take_steps(run, watched=False)
    check_all_there(run)
    run.trainer = trunk.spill(tmp_path / "trunk.safetensors")
    take_steps(run, watched=False)
    check_all_there(run)
    run.trainer = trunk
    trunk.reload(tmp_path / "trunk.safetensors")
    take_steps(run)
    check_all_there(run)


@KINDS
@pytest.mark.parametrize("method", ["prune", "sparse"])
def test_everything_is_there_after_a_resume(folder, tmp_path, cuda, kind, method):
    first = path_over(folder, tmp_path, recipe(method), kind)
    take_steps(first)
    if method == "prune":
        cut_a_node(first)
        first.state.removed = ~first.trainer.model.coupling.alive()
    take_steps(first)
    first._save()
    assert all(t.device.type == "cpu" for t in load_file(first.checkpoint.path).values())
    second = path_over(folder, tmp_path, recipe(method), kind)
    second._resume()
    check_all_there(second)
    take_steps(second)
    check_all_there(second)


@KINDS
@pytest.mark.parametrize("method", METHODS)
def test_a_job_on_one_device_gives_the_bits_of_the_cpu(folder, kind, method):
    asked = {"method": method} if method in {"prune", "sparse"} else {}
    asked |= METHODS[method]
    with pretended_cuda():
        there = compress(folder, kind, se.Recipe(**asked, training=training("cuda:0"), seed=1))
    here = compress(folder, kind, se.Recipe(**asked, training=training("cpu"), seed=1))
    assert there.report.data.provenance.device == "cuda:0"
    assert [c.model_bytes for c in there.candidates] == [c.model_bytes for c in here.candidates]
    assert there.report.data.relevance == here.report.data.relevance


def training(device):
    """Two epochs; a device that is pretended cannot say what memory it has free."""
    return {"epochs": 2, "device": device, "checkpoint_activations": "never"}


def compress(folder, kind, asked, data="digits.npz", **more):
    return se.compress(folder / f"{kind}.onnx", folder / data, asked, **more)


def test_a_job_without_labels_stays_on_one_device(folder):
    with pretended_cuda():
        there = compress(folder, "perceptron", recipe(), "unlabelled.npz")
    here = compress(folder, "perceptron", recipe(device="cpu"), "unlabelled.npz")
    assert there.chosen.model_bytes == here.chosen.model_bytes


@pytest.mark.parametrize("name", ["llama", "residual"])
def test_fresh_weights_on_a_device_are_those_that_the_cpu_draws(name):
    model = specimen(name).model
    coupling = couple(se.load(model))
    here = se.load(model)
    draw_weights(here, coupling, seed=3)
    with pretended_cuda() as cuda:
        there = se.load(model).to(cuda)
        draw_weights(there, coupling, seed=3)
        drawn = {key: value.detach().cpu() for key, value in there.named_parameters()}
    for key, value in here.named_parameters():
        torch.testing.assert_close(drawn[key], value.detach(), equal_nan=True)


def test_a_trunk_that_waits_on_disk_comes_back_to_its_device(folder, tmp_path, monkeypatch):
    here = compress(folder, "perceptron", recipe(device="cpu"))
    monkeypatch.setattr(run_module, "SPILLED_BYTES", 0)
    with pretended_cuda():
        there = compress(folder, "perceptron", recipe(), work_dir=tmp_path)
    assert there.chosen.model_bytes == here.chosen.model_bytes


def test_a_step_of_the_optimiser_on_the_host_is_refused_by_the_pretended_device(
    folder, tmp_path, cuda
):
    run = path_over(folder, tmp_path, recipe())
    take_steps(run)
    for state in run.trainer.optimizer.state.values():
        state["step"] = state["step"].cpu()
    with pytest.raises(RuntimeError, match="on the same device"):
        take_steps(run)


def test_a_gpu_that_is_not_there_is_refused_by_name_before_training(folder, cuda):
    told = []
    with pytest.raises(InvalidRequest, match="cuda:99 is not on this machine") as caught:
        compress(folder, "perceptron", recipe(device="cuda:99"), on_progress=told.append)
    assert caught.value.pointer == "#/recipe/training/device"
    assert "cuda:0" in caught.value.detail
    assert all(progress.stage != "training" for progress in told)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_without_a_gpu_every_one_is_refused(folder):
    with pytest.raises(InvalidRequest, match="cuda is not on this machine: it has no CUDA device"):
        compress(folder, "perceptron", recipe(device="cuda"))
