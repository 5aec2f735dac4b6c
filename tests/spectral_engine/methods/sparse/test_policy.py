"""`sparse`: a budget of links, free in their places, from an ONNX file to an ONNX file."""

import io

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
import torch
from pydantic import ValidationError
from rich.console import Console

import spectral_engine as se
from spectral_engine.errors import TargetInfeasible
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.methods.sparse.dead import dead_groups
from spectral_engine.methods.sparse.model import SparseModel
from spectral_engine.planning import plan, start_run
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.progress import ignore
from spectral_engine.report.html import render
from spectral_engine.report.terminal import render_terminal
from tests.support.digits import save_digits, save_model, splits

KINDS = ("perceptron", "convolutional")
PATTERNS = ("unstructured", "2:4", "block:4x2")
DENSITY = 0.15


def recipe(pattern="unstructured", schedule="dense_to_sparse", density=DENSITY, **parts):
    target = {} if pattern[0].isdigit() else {"density": density}
    sparse = {"pattern": pattern, "schedule": schedule}
    return se.Recipe(
        method="sparse",
        target=target,
        sparse=sparse,
        training={"epochs": 6, "batch_size": 32},
        seed=1,
        seen_by_original=False,
        **parts,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits")
    save_digits(path / "digits.npz")
    for kind in KINDS:
        save_model(path / f"{kind}.onnx", kind)
    return path


@pytest.fixture(scope="module")
def compressed(folder):
    """Return a compression, each done once."""
    done = {}

    def run(kind="perceptron", pattern="unstructured", schedule="dense_to_sparse"):
        key = (kind, pattern, schedule)
        if key not in done:
            asked = recipe(pattern, schedule)
            done[key] = se.compress(folder / f"{kind}.onnx", folder / "digits.npz", asked)
        return done[key]

    return run


def run_over(folder, asked, kind="perceptron", work="work", form=None):
    """Return the run of a job that has not begun, to look into while it trains."""
    setup = prepare(
        folder / f"{kind}.onnx", folder / "digits.npz", asked, label=None, preprocessing=None
    )
    (folder / work).mkdir(exist_ok=True)
    return start_run(setup, plan(setup, folder / work, ignore), form)


def accuracy(model: bytes) -> float:
    logits = onnxruntime.InferenceSession(model).run(None, {"x": splits()["x_test"]})[0]
    return float((logits.argmax(1) == splits()["y_test"]).mean())


def transfers_of(model: bytes) -> dict[str, np.ndarray]:
    """Return the weights that link nodes as [out, in, kernel], by the node that reads them."""
    graph = onnx.load_from_string(model).graph
    initializers = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    weights = {}
    for node in graph.node:
        if node.op_type in {"Gemm", "Conv"}:
            weight = initializers[node.input[1]]
            weights[node.name] = weight.reshape(*weight.shape[:2], -1)
    return weights


# What comes out


@pytest.mark.parametrize("schedule", ["dense_to_sparse", "sparse_to_sparse"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_file_runs_and_its_zeros_are_those_of_the_report(compressed, kind, schedule):
    result = compressed(kind, schedule=schedule)
    entry, weights = result.chosen.entry, transfers_of(result.chosen.model_bytes)
    assert entry.measurement.metric.value == accuracy(result.chosen.model_bytes) > 0.3
    assert entry.links.zeros == sum(int((w == 0).sum()) for w in weights.values())
    assert entry.links.after == sum(int((w != 0).sum()) for w in weights.values())
    for transfer in entry.links.transfers:
        assert transfer.after == (weights[transfer.transfer] != 0).sum()
    assert entry.links.effective_params == entry.measurement.params - entry.links.zeros
    assert entry.links.after <= round(DENSITY * entry.links.before)
    assert entry.links.density > 0.97 * DENSITY
    assert result.outcome == "target_met"


def test_gradual_sparsity_costs_little_at_a_sixth_of_the_links(compressed):
    result = compressed()
    assert accuracy(result.chosen.model_bytes) > 0.88


@pytest.mark.parametrize("kind", KINDS)
def test_the_pattern_n_of_m_holds_in_every_transfer_of_the_file(compressed, kind):
    for weight in transfers_of(compressed(kind, "2:4").chosen.model_bytes).values():
        links = weight != 0
        for start in range(0, weight.shape[1], 4):
            assert links[:, start : start + 4].sum(axis=1).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_links_stand_in_no_more_blocks_than_the_budget_has_room_for(compressed, kind):
    result = compressed(kind, "block:4x2")
    room = 0  # a link of a block may be 0 by itself, as one from a pixel that is always black
    for weight in transfers_of(result.chosen.model_bytes).values():
        for top in range(0, weight.shape[0], 4):
            for left in range(0, weight.shape[1], 2):
                block = weight[top : top + 4, left : left + 2]
                room += int((block != 0).any(axis=(0, 1)).sum()) * block.shape[0] * block.shape[1]
    links = result.chosen.entry.links
    assert 0.9 * DENSITY * links.before < room <= DENSITY * links.before
    assert links.after > 0.8 * room


def test_no_node_of_the_file_is_without_links_on_either_side(compressed):
    result = compressed()
    first, second, last = transfers_of(result.chosen.model_bytes).values()
    for reached, read in ((first, second), (second, last)):
        assert (reached != 0).any(axis=(1, 2)).all()
        assert (read != 0).any(axis=(0, 2)).all()
    gone = sum(w.before - w.after for w in result.chosen.entry.widths)
    assert result.chosen.entry.links.dead_nodes == gone > 0
    assert result.chosen.entry.exactness.max_abs_difference <= 1e-4


def test_a_node_that_nothing_reaches_leaves_its_constant_to_its_readers(folder, tmp_path):
    run = run_over(folder, recipe(), work=tmp_path / "work")
    model = run.trainer.model
    transfer: Transfer = model.coupling.transfers[0]
    model.masks[transfer.weight].data[3] = 0.0
    model.module.initializer(transfer.bias).data[3] = 2.0
    x = {"x": torch.from_numpy(splits()["x_test"])}
    before = model(x)["logits"].detach()
    run._narrow(run.plan.schedule.events[-1])
    assert run.state.removed.sum() == 1
    torch.testing.assert_close(run.trainer.model(x)["logits"], before, rtol=1e-4, atol=1e-5)


def test_a_node_that_dies_takes_along_who_read_it_alone(folder, tmp_path):
    run = run_over(folder, recipe(), work=tmp_path / "work")
    first, second, _ = run.trainer.model.coupling.transfers
    run.trainer.model.masks[first.weight].data[5] = 0.0
    run.trainer.model.masks[second.weight].data[7] = 0.0
    run.trainer.model.masks[second.weight].data[7, 5] = 1.0
    run._narrow(run.plan.schedule.events[-1])
    assert run.state.removed.sum() == 2


# What the masked links do


def test_a_masked_link_moves_with_the_eigenvalues_of_its_node(folder, tmp_path):
    run = run_over(folder, recipe(), work=tmp_path / "work")
    run.policy.topology.thin(DENSITY)
    masks = {name: mask.clone() for name, mask in run.trainer.model.masks.items()}
    before = {name: run.trainer.model.unmasked(name).clone() for name in masks}
    phi = {name: run.trainer.model.links_of(name).detach().clone() for name in masks}
    run.trainer.step(run.plan.feed.at_step(0, 0), 1e-2)
    moved = total = 0
    for name, mask in masks.items():
        gone = mask == 0
        assert torch.equal(run.trainer.model.links_of(name)[gone], phi[name][gone])
        moved += int((run.trainer.model.unmasked(name) != before[name])[gone].sum())
        total += int(gone.sum())
    assert moved > 0.6 * total  # nodes that never fire on this batch have no gradient


def test_links_grow_by_the_gradient_of_the_folded_weight(folder, tmp_path):
    run = run_over(folder, recipe(), work=tmp_path / "work")
    run.policy.topology.thin(DENSITY)
    model, feed = run.trainer.model, run.plan.feed
    model.let_gradients_through(True)
    taken = {}
    run.trainer.step(feed.at_step(0, 0), 0.0, lambda: taken.update(model.take_gradients()))
    model.let_gradients_through(False)

    batch, objective = feed.at_step(0, 0), run.trainer.objective
    weights = {name: model.weight(name).requires_grad_() for name in model.masks}
    values = model.module.compute(batch.inputs, weights, objective.watch)
    objective.loss(values, batch.labels, run.trainer.teacher(batch)).backward()
    for name, weight in weights.items():
        torch.testing.assert_close(taken[name].abs(), weight.grad.abs(), rtol=1e-3, atol=1e-6)


def test_in_the_plain_dense_form_no_masked_link_moves(folder, tmp_path):
    class PlainModel(SparseModel):
        """The control: the same masks over plain weights."""

        def _hold(self, transfer):
            """Hold nothing in spectral form."""

    run = run_over(folder, recipe(), work=tmp_path / "work", form=PlainModel)
    run.policy.topology.thin(DENSITY)
    before = {name: run.trainer.model.unmasked(name).clone() for name in run.trainer.model.masks}
    run.trainer.step(run.plan.feed.at_step(0, 0), 1e-2)
    assert len(before) == 3
    for name, mask in run.trainer.model.masks.items():
        changed = run.trainer.model.unmasked(name) != before[name]
        assert not changed[mask == 0].any()
        assert changed[mask > 0].any()


@pytest.mark.parametrize("schedule", ["dense_to_sparse", "sparse_to_sparse"])
def test_links_that_had_gone_come_back(compressed, schedule):
    points = compressed(schedule=schedule).report.data.topology
    counts = [point.reentered for point in points]
    assert counts == sorted(counts)
    assert counts[-1] > 0


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_budget_from_the_start_holds_at_every_step(folder, tmp_path, pattern):
    run = run_over(folder, recipe(pattern, "sparse_to_sparse"), work=tmp_path / "work")
    seen = []
    step = run.trainer.step

    def counting(*arguments, **options):
        loss = step(*arguments, **options)
        seen.append(sum(run.policy.topology.links().values()))
        return loss

    run.trainer.step = counting
    run.run()
    steps, budget = run.plan.schedule.trunk_steps, run.plan.recipe.target.density
    assert len(seen) == steps
    assert max(seen) <= round(budget * run.policy.topology.total)
    if pattern == "unstructured":
        assert set(seen) == {round(budget * run.policy.topology.total)}
    assert any(point.grown for point in run.state.topology)


def test_the_last_change_gives_links_of_dead_nodes_to_those_that_live(folder, tmp_path):
    run = run_over(folder, recipe(), work=tmp_path / "work")
    run.policy.topology.thin(DENSITY)
    model, (first, second, _) = run.trainer.model, run.trainer.model.coupling.transfers
    budget = sum(run.policy.topology.links().values())
    model.masks[first.weight].data[5] = 0.0
    read = int(model.masks[second.weight][:, 5].sum())
    lost = dead_groups(model, run.plan.recipe.sparse.links)
    pull = {name: torch.rand_like(mask) for name, mask in model.masks.items()}
    run.policy.topology.move(DENSITY, 0.0, pull, lost)
    assert read > 0
    assert model.masks[second.weight][:, 5].sum() == 0
    assert model.masks[first.weight][5].sum() == 0
    assert sum(run.policy.topology.links().values()) == budget


def test_the_history_tells_every_change_and_ends_at_the_budget(compressed):
    result = compressed()
    points, links = result.report.data.topology, result.chosen.entry.links
    assert points[-1].links == round(DENSITY * links.before)
    left = links.before
    for point in points:
        left += point.grown - point.dropped
        assert point.links == left
        assert 0 <= point.new_since_start <= 1
        assert len(point.densities) == len(links.transfers)
    assert points[-1].new_since_start > 0.02


def test_page_and_terminal_tell_links_and_topology(compressed):
    report = compressed().report.data
    links = report.chosen_candidate().links
    page, console = render(report), Console(file=io.StringIO(), width=160)
    render_terminal(report, console)
    assert f"{links.before:,} links became {links.after:,}" in page
    assert "The topology while training" in page
    assert page.count("<polyline") == 5
    told = console.file.getvalue()
    for figure in (
        f"{links.after:,}",
        f"{links.effective_macs:,}",
        "came back after they had gone",
    ):
        assert figure in told


def test_weights_before_a_normalisation_are_masked_as_well(folder, tmp_path):
    run = run_over(folder, recipe(), kind="convolutional", work=tmp_path / "work")
    assert set(run.trainer.model.left_plain) & set(run.policy.topology.layouts)
    assert len(run.policy.topology.layouts) == 4


# The path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schedule", ["dense_to_sparse", "sparse_to_sparse"])
def test_a_run_that_was_stopped_resumes_and_gives_the_same_bits(
    folder, tmp_path, compressed, kind, schedule
):
    class Stopped(Exception):
        """The process that ran the job is gone."""

    def stop(progress):
        if progress.fraction > 0.45:
            raise Stopped

    model, data, asked = folder / f"{kind}.onnx", folder / "digits.npz", recipe(schedule=schedule)
    with pytest.raises(Stopped):
        se.compress(model, data, asked, stop, tmp_path / "work")
    told = []
    resumed = se.compress(model, data, asked, told.append, tmp_path / "work")
    whole = compressed(kind, schedule=schedule)
    assert resumed.chosen.model_bytes == whole.chosen.model_bytes
    assert resumed.report.data.topology == whole.report.data.topology
    assert min(p.step for p in told if p.stage == "training") > 8


def test_fresh_weights_and_both_sides_train_too(folder):
    asked = recipe(spectral={"init": "fresh", "two_sided": True})
    result = se.compress(folder / "perceptron.onnx", folder / "digits.npz", asked)
    assert result.chosen.entry.links.density > 0.9 * DENSITY
    assert result.chosen.entry.drop.value < 0.5


def test_a_density_that_leaves_a_transfer_without_links_is_refused_before_training(folder):
    told = []
    with pytest.raises(TargetInfeasible) as caught:
        se.compress(
            folder / "perceptron.onnx", folder / "digits.npz", recipe(density=1e-4), told.append
        )
    assert caught.value.pointer == "#/recipe/target/density"
    assert all(progress.stage != "training" for progress in told)


def test_every_link_kept_is_no_gain(folder):
    result = se.compress(
        folder / "perceptron.onnx",
        folder / "digits.npz",
        recipe(density=1.0).model_copy(
            update={"training": se.Recipe(training={"epochs": 1}).training}
        ),
    )
    assert result.outcome == "no_gain"


# The recipe


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"method": "prune", "target": {"density": 0.1}}, "target.density"),
        ({"method": "retrain", "target": {"density": 0.1}}, "target.density"),
        ({"target": {"density": 0.0}}, "density"),
        ({"target": {"density": 1.5}}, "density"),
        ({"target": {"max_macs": 0.5}}, "target.max_macs"),
        ({"target": {"keep_nodes": 0.5}}, "target.keep_nodes"),
        ({"target": {"density": 0.1}, "sparse": {"pattern": "2:4"}}, "target.density"),
        ({"sparse": {"pattern": "2:4", "distribution": "erk"}}, "sparse.distribution"),
        ({"sparse": {"pattern": "4:2"}}, "pattern"),
        ({"sparse": {"pattern": "stripes"}}, "pattern"),
        ({"sparse": {"schedule": "sometimes"}}, "schedule"),
        ({"spectral": {"train": "eigenvalues"}}, "spectral.train"),
        ({"spectral": {"train": "qr"}}, "spectral.train"),
    ],
)
def test_what_does_not_go_together_is_refused_by_field(asked, named):
    with pytest.raises(ValidationError) as caught:
        se.Recipe(**{"method": "sparse", **asked})
    error = caught.value.errors()[0]
    assert named in ".".join(map(str, error["loc"])) + error["msg"]


def test_the_recipe_as_executed_says_what_was_left_open_and_can_be_executed_again():
    assert se.Recipe(method="sparse").target.density == 0.1
    pattern = se.Recipe(method="sparse", sparse={"pattern": "1:4"})
    assert pattern.target.density == 0.25
    assert se.Recipe.model_validate(pattern.model_dump(mode="json")) == pattern
    beside = se.Recipe(method="sparse", target={"max_metric_drop": 0.02, "density": 0.3})
    assert (beside.target.max_metric_drop, beside.target.density) == (0.02, 0.3)
