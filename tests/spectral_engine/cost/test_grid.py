"""Widths on the grid: within the budget, each axis on it or kept from it for a reason, and the cut still exact."""

import numpy as np
import pytest
import torch
from torch import nn

from examples.specimens.zoo import NETS, specimen
from spectral_engine.cost.blocks import grid_for, grid_of
from spectral_engine.cost.budget import Budget, cost_of
from spectral_engine.cost.grid import Choice
from spectral_engine.cost.narrowing import Narrowing
from spectral_engine.cost.ranking import choose_removal, floors, removable
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import to_bytes
from spectral_engine.records.blocks import Blocks
from spectral_engine.records.target import Limit, Target
from tests.support.cutting import difference, in_onnxruntime
from tests.support.task_nets import export

EIGHT = Blocks(convolution=8)


class Inverted(nn.Module):
    """A widening, a depthwise convolution and a narrowing, beside which the input goes on."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(width, inner, 1), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner), nn.ReLU(),
            nn.Conv2d(inner, width, 1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.way(x)


def mobile(tail: int = 48) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1), Inverted(24, 96), Inverted(24, 72),
        nn.Conv2d(24, tail, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(tail, 40), nn.ReLU(), nn.Linear(40, 10),
    )  # fmt: skip


def coupled(net, folder, *shape):
    torch.manual_seed(0)
    export(net, (torch.zeros(1, *shape),), folder / "net.onnx", ["x"], ("logits",))
    module = OnnxModule(load_model(folder / "net.onnx"))
    return module, couple(module)


def choose(coupling, grid, budget, seed=0, least=4):
    """Return what a budget alone removes, and that on the grid."""
    scores, low = np.random.default_rng(seed).random(coupling.count), floors(coupling, least)
    alone = choose_removal(coupling, scores, budget, low)
    choice = Choice(
        removed=alone,
        free=removable(coupling, scores, low),
        scores=scores,
        unused=lambda removed: budget.unused_by(cost_of(coupling, removed)),
    )
    return alone, grid.fit(choice)


def widths(coupling, removed, kinds):
    by_layer = {}
    for transfer in coupling.transfers:
        ids = coupling.axes[transfer.weight][transfer.out_axis]
        if transfer.kind in kinds and ids is not None:
            by_layer[transfer.name] = (len(ids), int((~removed[ids]).sum()))
    return by_layer


@pytest.mark.parametrize("share", [0.8, 0.5, 0.25])
@pytest.mark.parametrize("seed", range(3))
def test_convolutions_keep_whole_blocks_and_the_budget_is_used(tmp_path, share, seed):
    _, coupling = coupled(mobile(), tmp_path, 3, 12, 12)
    limit = share * coupling.macs()
    alone, removed = choose(coupling, grid_of(coupling, EIGHT), Budget({"macs": limit}), seed)
    by_layer = widths(coupling, removed, {"conv", "grouped"})
    assert all(kept % 8 == 0 or kept == full or kept < 8 for full, kept in by_layer.values())
    assert coupling.macs(removed) <= limit
    assert coupling.macs(removed) > 0.75 * coupling.macs(alone)
    assert {kept for _, kept in widths(coupling, alone, {"conv"}).values()} - set(range(0, 99, 8))


def test_the_best_blocks_come_back_while_the_budget_holds(tmp_path):
    """No block of eight that is gone could still be paid for."""
    _, coupling = coupled(mobile(), tmp_path, 3, 12, 12)
    budget = Budget({"macs": 0.5 * coupling.macs()})
    grid = grid_of(coupling, EIGHT)
    _, removed = choose(coupling, grid, budget)
    for ids in grid.axes:
        gone = np.unique(ids[removed[ids]])[:8]
        more = removed.copy()
        more[gone] = False
        assert not gone.size or budget.exceeded_by(cost_of(coupling, more))


def test_a_layer_that_loses_nothing_keeps_its_odd_width(tmp_path):
    _, coupling = coupled(mobile(tail=43), tmp_path, 3, 12, 12)
    _, removed = choose(coupling, grid_of(coupling, EIGHT), Budget({"macs": coupling.macs()}))
    assert not removed.any()


def test_a_layer_narrower_than_a_block_stays_as_chosen(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 7, 3), nn.ReLU(), nn.Flatten(), nn.Linear(7 * 36, 3))
    _, coupling = coupled(net, tmp_path, 1, 8, 8)
    alone, removed = choose(
        coupling, grid_of(coupling, EIGHT), Budget({"macs": 0.6 * coupling.macs()}), least=1
    )
    assert np.array_equal(alone, removed)
    assert 1 <= (~removed[coupling.layers[0].groups]).sum() < 7


def test_dense_layers_stay_as_chosen_and_are_rounded_where_a_number_is_asked_for(tmp_path):
    net = nn.Sequential(
        nn.Linear(5, 100), nn.ReLU(), nn.Linear(100, 60), nn.ReLU(), nn.Linear(60, 2)
    )
    _, coupling = coupled(net, tmp_path, 5)
    budget = Budget({"macs": 0.5 * coupling.macs()})
    alone, removed = choose(coupling, grid_of(coupling, EIGHT), budget)
    assert np.array_equal(alone, removed)
    _, rounded = choose(coupling, grid_of(coupling, 16), budget)
    assert [
        kept % 16 for full, kept in widths(coupling, rounded, {"dense"}).values() if full > 2
    ] == [0, 0]


def test_nothing_is_rounded_to_one(tmp_path):
    _, coupling = coupled(mobile(), tmp_path, 3, 12, 12)
    alone, removed = choose(coupling, grid_of(coupling, 1), Budget({"macs": 0.5 * coupling.macs()}))
    assert np.array_equal(alone, removed)


@pytest.mark.parametrize("block", [2, 4])
@pytest.mark.parametrize("name", sorted(NETS))
def test_every_net_is_cut_on_the_grid_as_it_is_masked(name, block):
    """Residual streams, splits, shuffles, heads: a rounded removal is one that surgery can do, within the budget."""
    net = specimen(name)
    module = load(net.model)
    coupling = couple(module)
    budget = Budget({"macs": 0.5 * coupling.macs()})
    alone, removed = choose(coupling, grid_of(coupling, block), budget, least=1)
    assert coupling.macs(removed) <= max(budget.limits["macs"], coupling.macs(alone))
    masked, narrower = (to_bytes(way(module.model, coupling, removed)) for way in (mask, cut))
    inputs = net.sample(3)
    assert difference(in_onnxruntime(masked, inputs), in_onnxruntime(narrower, inputs)) <= 1e-4


def test_heads_count_the_indices_of_an_axis():
    """A head of several indices goes as a whole, and axes of such heads are on a grid of as many without a cut more."""
    coupling = couple(load(specimen("encoder").model))
    grid = grid_of(coupling, 4)
    _, removed = choose(coupling, grid, Budget({"macs": 0.6 * coupling.macs()}), least=1)
    for ids in grid.axes:
        _, counts = np.unique(ids, return_counts=True)
        if (counts % 4 == 0).all():
            assert (~removed[ids]).sum() % 4 == 0
    assert removed.any()


def test_blocks_of_sixteen_are_kept_where_the_runtime_works_on_sixteen(tmp_path):
    net = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 96, 3), nn.ReLU(), nn.Conv2d(96, 128, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 3),
    )  # fmt: skip
    _, coupling = coupled(net, tmp_path, 3, 10, 10)
    budget = Budget({"macs": 0.5 * coupling.macs()})
    alone, removed = choose(coupling, grid_of(coupling, Blocks(convolution=16)), budget)
    assert {kept % 16 for _, kept in widths(coupling, removed, {"conv"}).values()} == {0}
    assert {kept % 16 for _, kept in widths(coupling, alone, {"conv"}).values()} != {0}
    assert coupling.macs(removed) <= budget.limits["macs"]


def test_what_whole_blocks_leave_of_a_budget_goes_to_smaller_ones(tmp_path):
    """A net of three blocks a layer, at a budget between two of its widths."""
    net = nn.Sequential(
        nn.Conv2d(3, 24, 3), nn.ReLU(), nn.Conv2d(24, 24, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    )  # fmt: skip
    net(torch.zeros(1, 3, 8, 8))
    _, coupling = coupled(net, tmp_path, 3, 8, 8)
    for share in (0.3, 0.5, 0.7):
        budget = Budget({"macs": share * coupling.macs()})
        _, removed = choose(coupling, grid_of(coupling, EIGHT), budget)
        kept = [kept for _, kept in widths(coupling, removed, {"conv"}).values()]
        assert all(width % 4 == 0 for width in kept)
        unused = budget.unused_by(cost_of(coupling, removed))
        assert unused >= 0
        assert unused < 0.3


@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("share", [0.6, 0.4])
def test_a_plan_leaves_no_convolution_between_two_blocks(tmp_path, block, share):
    """Also where half of a layer's even part, which a score cannot take, is no multiple of the block."""
    _, coupling = coupled(mobile(), tmp_path, 3, 12, 12)
    nothing = np.zeros(coupling.count, dtype=bool)
    for seed in range(3):
        scores = np.random.default_rng(seed).random(coupling.count)
        grid = grid_of(coupling, Blocks(convolution=block))
        narrowing = Narrowing(coupling, coupling, nothing, scores, grid)
        budget = Budget({"macs": share * coupling.macs()})
        removed = narrowing.plan(budget, floors(coupling, 4)).removed
        kept = widths(coupling, removed, {"conv", "grouped"}).values()
        assert coupling.macs(removed) <= budget.limits["macs"]
        assert all(width % 4 == 0 for _, width in kept)
        assert min(width for full, width in kept if full > 3) >= 8


def test_where_time_is_limited_no_smaller_blocks_are_taken(tmp_path):
    _, coupling = coupled(mobile(), tmp_path, 3, 16, 16)
    grid = grid_for(coupling, EIGHT, Target(max_latency_ms=Limit(0.5)))
    _, removed = choose(coupling, grid, Budget({"macs": 0.55 * coupling.macs()}), least=8)
    assert removed.any()
    assert grid.holds(removed)
    assert not list(grid.finer())
    assert list(grid_for(coupling, EIGHT, Target(max_macs=Limit(0.5))).finer())


@pytest.mark.parametrize("within", [0.6, 0.3])
def test_nodes_go_until_what_is_left_is_in_time_and_hardly_more(tmp_path, within):
    _, coupling = coupled(mobile(), tmp_path, 3, 16, 16)
    asked = []

    def in_time(removed):  # a clock for which a multiply-add is a tick
        asked.append(coupling.macs(removed))
        return asked[-1] <= within * coupling.macs()

    scores = np.random.default_rng(0).random(coupling.count)
    gone = np.zeros(coupling.count, dtype=bool)
    narrowing = Narrowing(coupling, coupling, gone, scores, grid_of(coupling, 1))
    budget, low = Budget({"macs": 1.2 * within * coupling.macs()}), floors(coupling, 4)
    left = coupling.macs(narrowing.plan_in_time(budget, low, in_time).removed)
    assert 0.95 * within * coupling.macs() < left <= within * coupling.macs()
    assert asked == sorted(set(asked), reverse=True)  # none is timed twice
    free = narrowing.plan_in_time(budget, low, None)
    assert (free.removed == narrowing.plan(budget, low).removed).all()
