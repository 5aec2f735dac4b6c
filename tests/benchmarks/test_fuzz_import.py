"""Mutants of models: an EngineError or what onnxruntime answers, and a cut file that answers as the masked one."""

import pytest

from benchmarks.fuzz_import import left, row_of
from benchmarks.fuzzing.crew import Verdict, fuzz
from benchmarks.fuzzing.summary import BAD
from benchmarks.mutants import mutant
from examples.specimens.fuzz_bases import by_kind


@pytest.fixture(scope="module")
def sources():
    return {name: model for models in by_kind().values() for name, model in models.items()}


@pytest.mark.slow
def test_a_mutant_of_each_base_is_refused_or_computed_and_cut_right(sources):
    seeds = range(len(sources))
    verdicts = list(fuzz(sources, seeds))
    assert len(verdicts) == len(seeds)
    assert [verdict for verdict in verdicts if verdict.kind in BAD] == []
    assert {verdict.kind for verdict in verdicts} >= {"cut", "refused"}


def test_the_same_seed_makes_the_same_mutant(sources):
    for name in ("branches", "line", "read_heads", "maps"):
        assert all(mutant(sources[name], seed) == mutant(sources[name], seed) for seed in range(12))
        assert len({mutant(sources[name], seed)[0] for seed in range(12)}) > 6


def test_a_run_goes_on_after_the_portions_that_have_rows(monkeypatch):
    done = [{"run": "a", "seed": 0, "mutants": 500}, {"run": "b", "seed": 500, "mutants": 500}]
    monkeypatch.setattr("benchmarks.rows.read", lambda name: [*done, {"seed": 500, "mutants": 500}])
    assert left(0, 1200, "a") == [range(500, 1000), range(1000, 1200)]


def test_verdicts_are_counted_by_kind_of_base_and_by_change():
    verdicts = [
        Verdict("x", 0, "cut", changes=("turned", "turned", "read")),
        Verdict("y", 1, "wrong", changes=("read",)),
    ]
    row = row_of(verdicts, range(2), "a", {"x": "free axes", "y": "rows"})
    assert row["by_base"] == {"free axes": {"cut": 1}, "rows": {"wrong": 1}}
    assert row["by_change"] == {"turned": {"cut": 1}, "read": {"cut": 1, "wrong": 1}}
    assert (row["cut"], row["wrong"], row["torn"]) == (1, 1, 0)
