"""Mutants of exported models: an EngineError or the answer of onnxruntime, and nothing else."""

import pytest

from benchmarks.fuzz_import import BAD, fuzz
from benchmarks.mutants import mutant
from tests.support.fuzz_bases import bases


@pytest.mark.slow
def test_two_hundred_mutants_are_refused_or_computed_right():
    verdicts = list(fuzz(bases(), range(200)))
    assert len(verdicts) == 200
    assert [verdict for verdict in verdicts if verdict.kind in BAD] == []
    assert {verdict.kind for verdict in verdicts} >= {"same", "refused"}


def test_the_same_seed_makes_the_same_mutant():
    source = bases()["branches"]
    assert mutant(source, 5) == mutant(source, 5)
    assert mutant(source, 5) != mutant(source, 6)
