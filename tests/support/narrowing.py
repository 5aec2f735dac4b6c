"""A net of the zoo through import and surgery: what came in, what came out, and how far the two agree."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from examples.specimens.zoo import Specimen
from spectral_engine.cost.budget import Budget
from spectral_engine.cost.ranking import choose_removal, floors
from spectral_engine.graph.coupling import Coupling, couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import to_bytes
from tests.support.cutting import difference, in_onnxruntime


@dataclass(frozen=True)
class Narrowed:
    """A net, narrowed to a share of its multiply-adds, and the same with its nodes masked."""

    coupling: Coupling
    macs: int
    counted_bytes: int  # of the file, by the coupling
    masked: bytes
    cut: bytes
    import_error: float
    surgery_error: float


def narrow_to(specimen: Specimen, share: float = 0.5, seed: int = 0) -> Narrowed:
    """Remove nodes at random until this share of the multiply-adds is left."""
    module = load(specimen.model)
    coupling = couple(module).in_file(len(specimen.model))
    scores = np.random.default_rng(seed).random(coupling.count)
    budget = Budget({"macs": share * coupling.macs()})
    removed = choose_removal(coupling, scores, budget, floors(coupling, 1))
    masked = to_bytes(mask(module.model, coupling, removed))
    narrower = to_bytes(cut(module.model, coupling, removed))
    import_error = surgery_error = 0.0
    for batch, longer in product((1, 7), specimen.lengths):
        inputs = specimen.sample(batch, longer=longer)
        with torch.no_grad():
            outputs = [value.numpy() for value in module(**inputs).values()]
        import_error = max(
            import_error, difference(in_onnxruntime(specimen.model, inputs), outputs)
        )
        pair = in_onnxruntime(masked, inputs), in_onnxruntime(narrower, inputs)
        surgery_error = max(surgery_error, difference(*pair))
    macs = coupling.macs(removed)
    counted = coupling.file_bytes(removed)
    return Narrowed(coupling, macs, counted, masked, narrower, import_error, surgery_error)
