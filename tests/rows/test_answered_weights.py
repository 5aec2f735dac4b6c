"""A file that answers one of its weights beside its rows: laid in rows as any other."""

import numpy as np
import torch

from examples.specimens.row_nets import MLP, net
from spectral_engine.data import Split
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.preparation.in_rows import in_rows


def test_rows_run_beside_a_weight_that_is_answered():
    model = net(
        """g (float[1, 8] x) => (float[1, 3] y, float[32] z) {
            a = Gemm(x, w1, b1) r = Relu(a) z = Identity(b1) y = Gemm(r, w2, b2)
        }""",
        MLP,
    )
    rows = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    original = OpenedModel(model)
    module = in_rows(original.module(), original, Split({"x": rows}, None))
    with torch.no_grad():
        assert len(module.compute({"x": torch.from_numpy(rows)})["y"]) == 4
