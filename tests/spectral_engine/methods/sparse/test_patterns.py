"""Where links may stand, checked entry by entry."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_engine.methods.sparse.link_pattern import parse_pattern
from spectral_engine.methods.sparse.patterns import Layout

SHAPES = {  # weight's shape, its axes of output and input nodes
    "dense": ((12, 10), 0, 1),
    "dense, turned": ((10, 12), 1, 0),
    "convolution": ((8, 6, 3, 3), 0, 1),
    "transposed convolution": ((6, 8, 2, 2), 1, 0),
}


def layout(pattern, kind):
    return Layout(parse_pattern(pattern), *SHAPES[kind])


def drawn(weight, seed=0):
    return torch.rand(weight.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", SHAPES)
def test_unstructured_keeps_the_highest_scores_and_exactly_as_many_as_asked(kind):
    weight, scores = layout("unstructured", kind), drawn(layout("unstructured", kind))
    mask = weight.spread(weight.keep(weight.units(scores), 17))
    assert mask.shape == weight.shape
    assert mask.sum() == 17
    assert scores[mask > 0].min() > scores[mask == 0].max()


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("pattern", ["2:4", "1:3", "4:4"])
def test_no_run_of_m_inputs_has_more_than_n_links_and_whole_runs_have_n(kind, pattern):
    weight = layout(pattern, kind)
    kept, group = map(int, pattern.split(":"))
    share = round(weight.links * kept / group)
    mask = weight.spread(weight.keep(weight.units(drawn(weight)), share))
    rows = mask.movedim((weight.out_axis, weight.in_axis), (0, 1)).reshape(*weight.sides[:2], -1)
    for start in range(0, weight.sides[1], group):
        links = rows[:, start : start + group].sum(dim=1)
        assert (links == min(kept, rows[:, start : start + group].shape[1])).all()


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("pattern", ["block:4x4", "block:1x5", "block:3x2"])
def test_links_stand_in_whole_blocks_within_the_budget(kind, pattern):
    weight = layout(pattern, kind)
    height, width = map(int, pattern.removeprefix("block:").split("x"))
    mask = weight.spread(weight.keep(weight.units(drawn(weight)), weight.links // 3))
    rows = mask.movedim((weight.out_axis, weight.in_axis), (0, 1)).reshape(*weight.sides[:2], -1)
    for top in range(0, weight.sides[0], height):
        for left in range(0, weight.sides[1], width):
            block = rows[top : top + height, left : left + width]
            assert ((block == block[:1, :1]).all(dim=(0, 1))).all()
    assert weight.links // 3 - height * width < mask.sum() <= weight.links // 3


def test_an_nm_pattern_is_reached_by_way_of_fuller_groups():
    weight = Layout(parse_pattern("2:8"), (4, 16), 0, 1)
    scores = weight.units(drawn(weight))
    kept = [int(weight.keep(scores, count).sum()) for count in (64, 50, 30, 16)]
    assert kept == [64, 56, 32, 16]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_units_of_blocks_add_up_their_links(rows, columns, seed):
    weight = Layout(parse_pattern("block:2x3"), (rows, columns), 0, 1)
    values = drawn(weight, seed)
    torch.testing.assert_close(weight.units(values).sum(), values.sum())


@pytest.mark.parametrize("text", ["3:2", "0:4", "2:", "block:4", "block:0x4", "diagonal", ""])
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(ValueError, match=r"pattern|more links"):
        parse_pattern(text)
