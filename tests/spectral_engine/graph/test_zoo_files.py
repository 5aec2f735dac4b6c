"""The exported files of the zoo that the repository holds: those of this code and of the exporters in use."""

import pytest

from examples.specimens.zoo import EXPORTERS, every, export, specimen
from examples.specimens.zoo.keeping import EXPORTED
from tests.support.cutting import difference, in_onnxruntime


def test_every_net_has_its_files_and_nothing_else_lies_there():
    assert {path.name for path in EXPORTED.iterdir()} == {name for name, _ in every()}, (
        "nets or exporters have changed: write the files anew by `python -m examples.specimens.zoo`"
    )


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", ["perceptron_relu", "gru_by_hand"])
def test_a_file_is_what_the_exporter_writes_of_its_net(name, exporter):
    kept = specimen(name, exporter)
    fresh = export(kept.net, tuple(kept.inputs.values()), tuple(kept.inputs), exporter)
    inputs = kept.sample(5)
    answers = in_onnxruntime(kept.model, inputs), in_onnxruntime(fresh, inputs)
    assert difference(*answers) <= 1e-5
