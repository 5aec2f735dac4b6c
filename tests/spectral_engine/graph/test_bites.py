"""Every net of the zoo is cut in random bites, one after the other: what was patched once is patched again."""

import functools

import numpy as np
import pytest
import torch

from examples.specimens.zoo import EXPORTERS, NETS, specimen
from spectral_engine.graph.coupling import Coupling, couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import to_bytes
from tests.support.cutting import difference, in_onnxruntime

BITES = 6


@functools.lru_cache(maxsize=2)
def imported(name: str, exporter: str) -> tuple[OnnxModule, Coupling]:
    """Return a net as a module, and what of it goes together; nothing that cuts changes either."""
    module = load(specimen(name, exporter).model)
    return module, couple(module)


def a_bite(coupling, random):
    """Mark some of the removable groups of each layer [count]: one layer in three stays whole."""
    removed = np.zeros(coupling.count, dtype=bool)
    alive = coupling.alive()
    for layer in coupling.layers:
        groups = np.unique(layer.groups[alive[layer.groups]])
        free = groups[~coupling.pinned[groups]]
        most = min(len(free), len(groups) - 1)
        if most > 0 and random.random() < 0.67:
            removed[
                random.choice(free, random.integers(0, most // 2 + 2) % (most + 1), replace=False)
            ] = True
    for part in coupling.parts:
        if removed[part].all():
            removed[part[0]] = False
    return removed


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("name", "exporter"), [(n, e) for n in NETS for e in EXPORTERS])
def test_six_bites_one_after_the_other_are_one_cut(name, exporter, seed):
    """After each bite the graph runs as a module; in the end it is what one cut makes, and computes what is masked."""
    exported = specimen(name, exporter)
    random = np.random.default_rng([seed, len(name)])
    module, whole = imported(name, exporter)
    original, coupling, gone = module.model, whole, np.zeros(whole.count, dtype=bool)
    model = original
    for _ in range(BITES):
        removed = a_bite(coupling, random)
        model = cut(model, coupling, removed)
        coupling, gone = coupling.without(removed), gone | removed
        module = module.over(model)
        with torch.no_grad():
            module(**exported.sample(3))

    inputs = exported.sample(3)
    bitten = in_onnxruntime(to_bytes(model), inputs)
    masked = in_onnxruntime(to_bytes(mask(original, whole, gone)), inputs)
    at_once = in_onnxruntime(to_bytes(cut(original, whole, gone)), inputs)
    assert difference(masked, bitten) <= 1e-5
    assert difference(at_once, bitten) <= 1e-6
