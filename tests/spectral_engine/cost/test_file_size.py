"""The bytes of a candidate's file are known before it is written: at most a little too many."""

import pytest

from examples.specimens.zoo import NETS, specimen
from examples.specimens.zoo.handmade import HANDMADE
from spectral_engine.cost.file_size import growth
from spectral_engine.cost.ranking import all_that_can_go
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.measure.opened_model import OpenedModel
from tests.support.narrowing import narrow_to

NAMES = 128  # bytes for each tensor: what a cut renames in one width and not in another


@pytest.mark.parametrize("name", NETS)
def test_no_cut_takes_more_bytes_than_are_counted_for_it(name, tmp_path):
    net = specimen(name, "torchscript")  # its files compute more numbers, which a cut writes down
    narrowed = narrow_to(net)
    coupling = narrowed.coupling
    more = growth(
        OpenedModel(net.model).graph, coupling, all_that_can_go(coupling, 1), {}, tmp_path
    )
    counted = narrowed.counted_bytes + more
    assert len(narrowed.cut) <= counted <= len(narrowed.cut) + NAMES * len(coupling.sizes)
    assert not list(tmp_path.iterdir())


def test_weights_of_half_precision_count_half():
    make, _ = HANDMADE["half"]
    coupling = couple(load(make().SerializeToString()))
    removed = all_that_can_go(coupling, 4)
    gone = coupling.params() - coupling.params(removed)
    assert gone > 0
    assert coupling.file_bytes() - coupling.file_bytes(removed) == 2 * gone


def test_what_is_written_of_the_origin_is_counted(tmp_path):
    net = specimen("encoder")
    coupling = narrow_to(net).coupling
    going = all_that_can_go(coupling, 1)
    bare, told = (
        growth(OpenedModel(net.model).graph, coupling, going, texts, tmp_path)
        for texts in ({}, {"from": "x" * 300})
    )
    assert bare + 300 < told < bare + 330
