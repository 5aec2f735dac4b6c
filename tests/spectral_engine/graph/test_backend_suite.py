"""ONNX's own backend cases: each passes or is refused by name; none is wrong, crashes or hangs."""

import collections
import re

import onnx.parser
import pytest

from spectral_engine.errors import UnsupportedOperator
from spectral_engine.graph.loading import load
from tests.support.backend_suite import TABLE, outcomes, table

# Read from the table, so that collecting the tests runs nothing.
OPERATORS = re.findall(r"^\| (\w+) \| [\d, ]+ \|", TABLE.read_text(), re.MULTILINE)


def of(operator):
    return [outcome for outcome in outcomes() if outcome.case.operator == operator]


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_case_passes_or_is_refused(operator):
    bad = [(o.case.name, o.verdict, o.reason) for o in of(operator) if o.verdict not in GOOD]
    assert not bad


GOOD = {"passed", "refused"}


def test_more_cases_pass_than_in_the_best_public_converter():
    counted = collections.Counter(outcome.verdict for outcome in outcomes())
    assert counted["passed"] > 1_543


def test_the_table_of_operators_is_up_to_date():
    assert TABLE.read_text() == table(), "run: python -m tests.support.backend_suite --write"


def test_an_operator_that_is_not_known_is_refused_by_node_operator_and_opset():
    graph = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) { y = Bernoulli(x) }'
    )
    graph.graph.node[0].name = "odd one"
    with pytest.raises(UnsupportedOperator) as caught:
        load(graph.SerializeToString())
    assert caught.value.node.op_type == "Bernoulli"
    assert caught.value.node.opset == 17
    assert "odd one" in caught.value.detail
