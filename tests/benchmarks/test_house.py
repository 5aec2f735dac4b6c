"""The sources stay readable: what `benchmarks.house` counts."""

from __future__ import annotations

import pytest

from benchmarks import house


@pytest.mark.parametrize("name", house.ALGORITHMS)
def test_an_algorithm_says_why(name):
    assert 0.08 <= house.comment_share(house.ROOT / name) <= 0.12


def test_no_file_outside_a_method_asks_which_one_it_is():
    assert list(house.methods_told_apart(house.sources())) == []


def test_a_comparison_with_a_methods_name_is_seen(tmp_path):
    asking = tmp_path / "asking.py"
    asking.write_text("def f(recipe):\n    return recipe.method == 'prune'\n")

    assert house.comparisons_with_a_method(asking) == [2]


def test_names_that_say_nothing_are_rare():
    names = house.identifiers(house.sources())

    assert sum(names[name] for name in house.EMPTY_NAMES) < 10
