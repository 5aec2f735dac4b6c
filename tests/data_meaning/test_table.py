"""docs/data.md: each form of labels beside each form of answers, and the original's metric against scikit-learn's."""

import pytest

from tests.support.label_cases import BEGIN, END, PAGE, cases

CASES = list(cases())


def test_there_are_at_least_120_forms():
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_labels_are_understood_and_the_original_measured_as_by_others(case):
    check = case.check()
    assert check.meaning.task == case.task
    if case.metric is not None:
        assert check.original.value == pytest.approx(case.metric, abs=2e-3)
    line = PAGE.read_text("utf-8").split(BEGIN)[1].split(END)[0].strip().splitlines()
    row = f"| {case.answers} | {case.labels} | {check.meaning.reading} | {check.meaning.form} | {check.metric} "
    assert any(entry.startswith(row) for entry in line), (
        "run: python -m tests.support.label_cases --write"
    )
