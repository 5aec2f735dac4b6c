"""Steps that several processes share are those of one, and what happens to a process is told and made good again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import spectral_engine as se
from examples.specimens import row_nets
from examples.specimens.zoo import specimen
from spectral_engine.errors import InvalidRequest, RankLost
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.head import Head
from spectral_engine.graph.module import OnnxModule
from spectral_engine.methods.sparse.model import SparseModel
from spectral_engine.planning import plan, start_run
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.progress import ignore
from spectral_engine.records.training import Spectral, Training
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.normalization import normalize
from spectral_engine.training.objective import Objective
from spectral_engine.training.passes import ONE_DEVICE
from spectral_engine.training.ranks import process_group
from spectral_engine.training.ranks.data_parallel import DataParallel
from spectral_engine.training.ranks.splitting import (
    devices_from,
    refuse_bodies,
    rows_of_value,
    split_rows,
)
from spectral_engine.training.trainer import Trainer
from tests.support.feeding import feed_of

CPU = torch.device("cpu")
ROWS = 33  # of a batch: no two ranks have as many
NETS = ("perceptron_relu", "residual", "gru")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """Two and four processes, which are started while other things are done."""
    folder = tmp_path_factory.mktemp("ranks")
    with (
        DataParallel([CPU] * 2, folder / "two", half=False) as two,
        DataParallel([CPU] * 4, folder / "four", half=False) as four,
    ):
        yield {1: ONE_DEVICE, 2: two, 4: four}


def feed(name, batch_size=ROWS):
    """Rows, with classes of which some are rare."""
    inputs = specimen(name).sample(3 * ROWS)
    made = feed_of(inputs, batch_size)
    labels = (np.arange(3 * ROWS) % 7 == 0).astype(np.int64)
    return type(made)(replace(made.split, labels=labels), batch_size, CPU)


def trainer(name, passes, form=SpectralModel, activations="never", trains="both"):
    """A net with normalisations put in, and a loss that weighs rows by what it finds in the batch."""
    module = OnnxModule(se.load(specimen(name).model).model)
    coupling = couple(module)
    normalized = normalize(module, coupling, feed(name))
    if normalized is not None:
        module, coupling = OnnxModule(normalized.model, module.rows), normalized.coupling
    answer = module.output_names[0]
    objective = Objective(
        "classification",
        Head(answer, answer, None),
        0.0,
        1.0,
        1.0,
        class_weights=(0.6, 4.0, *[1.0] * 30),
    )
    training = Training(checkpoint_activations=activations)
    model = form(module, coupling, Spectral(train=trains, two_sided=name == "perceptron_relu"))
    return Trainer(model, objective, None, training, CPU, passes)


def gradients_of(made, name):
    """Take one step; return its loss, and the gradients before they are clipped."""
    gradients = {}

    def note():
        for key, item in made.trained.items():
            if item.tensor.grad is not None:
                gradients[key] = item.tensor.grad.clone()

    loss = made.step(feed(name).at_step(0, seed=0), 1e-3, after_backward=note)
    return loss, gradients


def check_alike(one, other, tolerance=2e-5):
    """Compare tensors by name, each within a share of the largest numbers of all."""
    assert one.keys() == other.keys()
    largest = max(float(value.abs().max()) for value in one.values())
    for name, value in one.items():
        torch.testing.assert_close(
            other[name], value, atol=tolerance * largest, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", NETS)
def test_a_step_has_the_loss_the_gradients_and_the_statistics_of_one_device(ranks, name, count):
    alone, shared = trainer(name, ONE_DEVICE), trainer(name, ranks[count])
    loss, gradients = gradients_of(alone, name)
    shared_loss, shared_gradients = gradients_of(shared, name)
    assert shared_loss == pytest.approx(loss, rel=1e-5)
    check_alike(gradients, shared_gradients)
    statistics = [name for name in alone.tensors() if name.endswith((".mean", ".variance"))]
    assert bool(statistics) == (name == "residual")
    for statistic in statistics:
        mine, theirs = alone.tensors()[statistic], shared.tensors()[statistic]
        torch.testing.assert_close(theirs, mine, atol=1e-5, rtol=1e-4)


def test_what_is_computed_again_for_the_gradient_is_so_on_all_ranks(ranks):
    _, gradients = gradients_of(trainer("residual", ONE_DEVICE), "residual")
    again = trainer("residual", ranks[2], activations="always")
    check_alike(gradients, gradients_of(again, "residual")[1])


def test_links_that_are_masked_are_so_on_all_ranks(ranks):
    taken = []
    for passes in (ONE_DEVICE, ranks[2]):
        made = trainer("perceptron_relu", passes, SparseModel)
        for mask in made.model.masks.values():
            mask.data[:, ::2] = 0
        made.model.let_gradients_through(True)
        made.step(
            feed("perceptron_relu").at_step(0, 0),
            1e-3,
            lambda made=made: taken.append(made.model.take_gradients()),
        )
    check_alike(*taken)


def test_cuts_and_forks_are_followed(ranks):
    after = []
    for passes in (ONE_DEVICE, ranks[2]):
        made = trainer("perceptron_relu", passes, trains="eigenvalues")
        rows = feed("perceptron_relu")
        for step in range(12):
            made.step(rows.at_step(step, 0), 1e-2)
            if step in {3, 7}:
                alive = made.model.coupling.alive() & ~made.model.coupling.pinned
                going = np.zeros(len(alive), dtype=bool)
                going[np.flatnonzero(alive)[::3]] = True
                made.narrow(going)
            if step == 5:
                twin = made.fork("both")
                twin.step(rows.at_step(step, 1), 1e-2)
        after.append((made.tensors(), twin.tensors()))
    for one, other in zip(*after, strict=True):
        check_alike(one, other, 1e-4)


# A whole job.

RECIPE = {
    "method": "prune",
    "target": {"keep_nodes": 0.5},
    "prune": {"candidates": 2},
    "training": {"epochs": 4, "batch_size": 32, "learning_rate": 1e-3, "swap_noise": 0.05},
    "allow_poor_original": True,
    "seed": 1,
}


def recipe(devices):
    return se.Recipe.parse({**RECIPE, "training": {**RECIPE["training"], "devices": devices}})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    net = specimen("perceptron_relu")
    (folder / "net.onnx").write_bytes(net.model)
    arrays = {}
    for seed, part in enumerate(("train", "val", "test")):
        inputs = net.sample(96, seed)
        with torch.no_grad():
            logits = next(iter(se.load(net.model).compute(inputs).values()))
        arrays[f"x_{part}"] = inputs["in0"].numpy()
        arrays[f"y_{part}"] = (logits - logits.mean(0)).argmax(1).numpy()
    np.savez(folder / "rows.npz", **arrays)
    return folder / "net.onnx", folder / "rows.npz"


@pytest.fixture(scope="module")
def runs(files, ranks, tmp_path_factory):
    """The same job on one device and on two."""
    job = prepare(*files, recipe(2))
    made = {}
    for count in (1, 2):
        folder = tmp_path_factory.mktemp(f"on-{count}")
        run = start_run(job, replace(plan(job, folder, ignore), passes=ranks[count]))
        made[count] = (run.run(), run.state)
    return made


def test_the_same_nodes_go_on_two_devices_as_on_one(runs):
    (one, state), (two, shared_state) = runs[1], runs[2]
    assert len(one) == len(two) == 2
    for candidate, shared in zip(one, two, strict=True):
        assert candidate.removed.any()
        assert np.array_equal(candidate.removed, shared.removed)
        assert np.array_equal(candidate.removed_at, shared.removed_at)
        assert shared.exactness == candidate.exactness or shared.exactness.max_abs_difference < 1e-5
        weights, shared_weights = (
            {n: p.detach() for n, p in se.load(item.path).named_parameters()}
            for item in (candidate, shared)
        )
        check_alike(weights, shared_weights, 1e-4)
    losses = [[point.loss for point in item.points] for item in (state, shared_state)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_a_job_goes_on_after_a_rank_was_killed_and_gives_the_same_files(
    files, ranks, runs, tmp_path
):
    followers = []

    def kill_one(progress):
        if progress.candidate is not None and not followers:
            followers.extend(followers_of(os.getpid()) - before)
            os.kill(followers[0], signal.SIGKILL)

    before, threads = followers_of(os.getpid()), torch.get_num_threads()
    with pytest.raises(RankLost, match="rank 1 was killed by signal 9") as caught:
        se.compress(*files, recipe(2), kill_one, tmp_path)
    assert caught.value.retryable
    assert caught.value.code == "internal"
    assert followers_of(os.getpid()) == before
    assert torch.get_num_threads() == threads
    assert not (tmp_path / "ranks").exists()
    job = prepare(*files, recipe(2))
    resumed = start_run(job, replace(plan(job, tmp_path, ignore), passes=ranks[2])).run()
    assert [item.path.read_bytes() for item in resumed] == [
        item.path.read_bytes() for item in runs[2][0]
    ]


def followers_of(process: int) -> set[int]:
    """Return the ranks that a process has started."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == process and b"ranks.follower" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
        except OSError:  # it has ended
            continue
    return found


# Ends of processes.


def test_a_rank_that_never_connects_is_not_waited_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(process_group, "CONNECT_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(process_group.GroupBroken):
        process_group.ProcessGroup(tmp_path / "rendezvous", 0, 2, CPU)
    assert time.monotonic() - started < 20


CHILD = """
import os, sys, time
from spectral_engine.training.ranks.parent_death import die_with
die_with(int(sys.argv[1]))
print("ready", flush=True)
time.sleep(60)
"""
PARENT = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_process_ends_with_a_parent_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 20
    while is_running(child):
        assert time.monotonic() < until
        time.sleep(0.01)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


# What cannot be split.


def test_a_batch_with_fewer_rows_than_devices_is_refused_before_training(files):
    asked = {**RECIPE, "training": {**RECIPE["training"], "batch_size": 2, "devices": 3}}
    told = []
    with pytest.raises(InvalidRequest, match="a batch of 2 rows cannot be split among 3") as caught:
        se.compress(*files, asked, told.append)
    assert caught.value.pointer == "#/recipe/training/devices"
    assert all(progress.stage != "training" for progress in told)


def test_what_runs_several_rows_at_once_is_split_between_runs():
    assert split_rows(10, 3, None) == (0, 4, 7, 10)
    assert split_rows(10, 2, 4) == (0, 8, 10)
    with pytest.raises(InvalidRequest, match="the model runs 4 rows at a time"):
        split_rows(8, 3, 4)


def test_a_value_that_does_not_answer_each_row_is_refused():
    assert rows_of_value("maps", 12, (0, 4, 7), 0) == (0, 12, 21)
    with pytest.raises(InvalidRequest, match="'total' does not answer each row") as caught:
        rows_of_value("total", 1, (0, 4, 7), 0)
    assert caught.value.pointer == "#/recipe/training/devices"


def test_a_model_that_decides_by_the_whole_batch_is_refused():
    body = "{n} () => (float[N, 3] o) {{ g = MatMul(x, w) o = {op}(g) }}"
    bodies = [body.format(n=name, op=op) for name, op in (("first", "Relu"), ("second", "Tanh"))]
    text = f"""g (float[N, 8] x, bool high) => (float[N, 3] y) {{
        y = If (high) <then_branch: graph = {bodies[0]}, else_branch: graph = {bodies[1]}>
    }}"""
    module = se.load(row_nets.net(text, {"w": (8, 3)}, {}))
    with pytest.raises(InvalidRequest, match="If 'If_0' may decide by all rows of a batch"):
        refuse_bodies(SpectralModel(module, couple(module), Spectral()))


def test_more_gpus_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert [str(d) for d in devices_from(torch.device("cuda:1"), 2)] == ["cuda:1", "cuda:2"]
    with pytest.raises(InvalidRequest, match="it has 3 CUDA devices") as caught:
        devices_from(torch.device("cuda:1"), 3)
    assert caught.value.pointer == "#/recipe/training/devices"


@pytest.mark.parametrize("devices", [0, -1, 65])
def test_a_recipe_asks_for_one_device_or_more(devices):
    with pytest.raises(InvalidRequest, match="devices"):
        se.Recipe.parse({"training": {"devices": devices}})
