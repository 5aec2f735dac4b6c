"""What training left as it was keeps the bits that it came with.

A weight in spectral form is a quotient times its divisor, which is the weight up to its last bit. So what is written
is compared with what the original's weight gives in the same form: where the two are equal, nothing has moved it.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch

from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.module import as_parameter
from spectral_engine.graph.surgery import kept_entries, narrow
from spectral_engine.spectral.model import SpectralModel


@torch.no_grad()
def keep_untrained(
    model: SpectralModel, original: ir.Model, coupling: Coupling, removed: Mark
) -> None:
    """Give each entry that no training moved the original's bits, in a graph to which `model` was written back.

    `coupling` is the original's; `removed` [count] marks those of its groups that are gone.
    """
    for name, transfer in model.spectral.items():
        value, first = model.module.model.graph.initializers[name], original.graph.initializers
        tensor, written = first[name].const_value, value.const_value
        if tensor is None or written is None:
            continue
        now = model.weight(name)
        start = transfer.round_trip(as_parameter(tensor).to(now.device))
        same = (narrow(start, coupling.axes[name], removed) == now).cpu().numpy()
        if same.any():
            stays = kept_entries(coupling, name, tensor, removed)
            array = np.where(same, tensor.numpy()[stays], written.numpy())
            value.const_value = ir.Tensor(array, dtype=tensor.dtype, name=name)
