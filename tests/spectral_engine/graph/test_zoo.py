"""Every net of the zoo, from both exporters: imported, narrowed to half its multiply-adds, and proved."""

import functools

import onnx
import pytest

from examples.specimens.zoo import EXPORTERS, NETS, WITH_OPEN_LENGTHS, lengthened, specimen
from tests.support.cutting import difference, in_onnxruntime
from tests.support.narrowing import Narrowed, narrow_to

ALL = pytest.mark.parametrize(("name", "exporter"), [(n, e) for n in NETS for e in EXPORTERS])


@functools.cache
def narrowed_to_half(name: str, exporter: str) -> Narrowed:
    return narrow_to(specimen(name, exporter))


def test_the_zoo_holds_what_users_bring():
    assert len(NETS) >= 70


@ALL
def test_a_net_is_narrowed_to_half_its_cost_and_computes_what_the_masked_one_computes(
    name, exporter
):
    exported, narrowed = specimen(name, exporter), narrowed_to_half(name, exporter)
    assert narrowed.macs <= 0.5 * narrowed.coupling.macs()
    assert narrowed.import_error <= 1e-4
    assert narrowed.surgery_error <= 1e-5
    inputs = exported.sample(7)
    changed = difference(
        in_onnxruntime(exported.model, inputs), in_onnxruntime(narrowed.cut, inputs)
    )
    assert changed > 1e-3  # it did remove something


@pytest.mark.parametrize(("name", "exporter"), WITH_OPEN_LENGTHS)
def test_a_net_of_any_length_is_narrowed_for_all_of_them(name, exporter):
    narrowed = narrow_to(lengthened(name, exporter))
    assert narrowed.macs <= 0.5 * narrowed.coupling.macs()
    assert narrowed.import_error <= 1e-4
    assert narrowed.surgery_error <= 1e-5


@ALL
def test_what_callers_see_stays_as_it_was(name, exporter):
    files = specimen(name, exporter).model, narrowed_to_half(name, exporter).cut
    before, after = map(onnx.load_from_string, files)
    assert after.graph.input == before.graph.input
    assert after.graph.output == before.graph.output
    opsets = [{o.domain: o.version for o in model.opset_import} for model in (before, after)]
    assert opsets[0] == opsets[1]
    onnx.checker.check_model(after, full_check=True)
