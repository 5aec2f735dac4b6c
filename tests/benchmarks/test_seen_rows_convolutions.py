"""Convolutional nets of the benchmark of seen rows: what is exported, and what their rows are said to come to."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from benchmarks.seen_rows import convolutions_summary as summary
from benchmarks.seen_rows.convolutions import NETS, as_onnx


@pytest.mark.parametrize("style", list(NETS))
@pytest.mark.parametrize("norm", ["kept", "folded"])
def test_the_exported_net_answers_as_torch_does_with_its_norms_kept_or_folded(style, norm):
    torch.manual_seed(0)
    net, x = NETS[style](), torch.randn(5, 1, 28, 28)
    net(3 * x + 1)  # moves the running statistics away from 0 and 1
    model = as_onnx(net.eval(), norm)
    answers = onnxruntime.InferenceSession(model).run(None, {"x": x.numpy()})[0]
    np.testing.assert_allclose(answers, net(x).detach(), rtol=1e-3, atol=1e-4)
    kinds = {node.op_type for node in onnx.load_from_string(model).graph.node}
    assert ("BatchNormalization" in kinds) == (norm == "kept")


def test_the_residual_net_has_twenty_layers_of_weights_on_its_longest_way():
    model = onnx.load_from_string(as_onnx(NETS["resnet-20"]().eval(), "folded"))
    kinds = [node.op_type for node in model.graph.node]
    shortcuts = 2  # 1×1, where a stage begins
    assert kinds.count("Conv") + kinds.count("Gemm") == 20 + shortcuts
    assert kinds.count("Add") == 9


def candidate(true: float, measured: float, rehearsed: float, bound: float, macs: int) -> dict:
    return {
        "true": true, "measured": measured, "rehearsed": rehearsed, "bound": bound,
        "stated": bound, "macs": macs,
    }  # fmt: skip


def row(found_seen: bool = True, found_unseen: bool = False, **more: Any) -> dict[str, Any]:
    looks = {"seen": {"found": found_seen}, "unseen": {"found": found_unseen}}
    return {
        "accuracy_own": 1.0, "accuracy_unseen": 0.9, "told_overstated": True, "chosen": 1,
        "floor": 0.01, "max_macs": 0.5, "macs": 100, "outcome": "target_not_met",
        "decided_by": "rehearsal", "signs": [{"rows": 2000, **looks}],
        "candidates": [
            candidate(0.005, 0.05, 0.01, 0.03, macs=80),
            candidate(0.02, 0.08, 0.03, 0.05, macs=40),
        ],
    } | more  # fmt: skip


def test_bounds_that_fail_are_counted_and_the_worst_is_told():
    broken = row(candidates=[candidate(0.07, 0.05, 0.01, 0.03, 80), row()["candidates"][1]])
    told = summary.in_words([row(), broken])
    assert "beyond the stated bound: 1 of 4 candidates, the worst by 4.0 points" in told
    assert "all bounds held in 1 of 2 jobs" in told
    assert summary.badness(broken) > summary.badness(row())


def test_only_drops_that_are_overstated_count_as_such():
    fair = row(chosen=0, candidates=[candidate(0.05, 0.05, 0.05, 0.06, 40)], told_overstated=False)
    silent = row(told_overstated=False)
    told = summary.in_words([row(), fair, silent])
    assert "truly overstated in 2 of 3 jobs, and 1 of these said so" in told


def test_a_candidate_over_the_budget_could_not_have_met_the_target():
    within = row(candidates=[candidate(0.005, 0.05, 0.01, 0.03, 40)], chosen=0)
    assert "where 1 jobs had a candidate that truly meets it" in summary.in_words([row(), within])


def test_memory_that_is_missed_and_false_alarms_are_counted():
    close = row(found_seen=False, accuracy_unseen=0.99)  # does no harm: not counted as missed
    told = summary.in_words([row(), row(found_seen=False), row(found_unseen=True), close])
    assert "memory missed in 1 of 3 looks" in told
    assert "false alarms in 1 of 4" in told
