"""Rows that the original has seen: said, found, and compared fairly."""

import pytest
from rich.console import Console

import spectral_engine as se
from spectral_engine.errors import InvalidRequest
from spectral_engine.report.html import render
from spectral_engine.report.terminal import render_terminal
from tests.support.seen import net_by_heart, save_parts, save_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("seen")
    (place / "net.onnx").write_bytes(net_by_heart())
    for kind in ("seen", "new"):
        save_rows(place / f"{kind}.npz", kind)
    save_parts(place / "parts.npz")
    return place


def asked(**said):
    target = {"max_metric_drop": 0.1}
    return se.Recipe(target=target, training={"epochs": 4}, prune={"candidates": 2}, seed=1, **said)


def told(folder, rows, tell=lambda _: None, **said):
    return se.compress(folder / "net.onnx", folder / f"{rows}.npz", asked(**said), tell).report.data


@pytest.fixture(scope="module")
def suspected(folder):
    heard = []
    return told(folder, "seen", heard.append), heard


def test_rows_that_the_original_knows_are_found_and_warned_of(suspected):
    report, heard = suspected
    seen = report.seen_rows
    assert seen.said is None
    assert seen.sign.found
    assert seen.assumed == "unseen"
    assert any("signs that the original was trained on these rows" in w for w in report.warnings)
    assert any(p.warning and "trained on these rows" in p.warning for p in heard)


def test_both_readings_of_the_floor_are_told(suspected):
    report, _ = suspected
    assert [reading.reading for reading in report.seen_rows.readings] == ["unseen", "seen"]
    assert report.seen_rows.decided_against == "original"
    assert report.seen_rows.readings[0].drop == report.chosen_candidate().drop.value


@pytest.mark.parametrize("rows", ["new", "parts"])
def test_rows_that_it_never_saw_are_not_warned_of(folder, rows):
    report = told(folder, rows)
    assert not report.seen_rows.sign.found
    assert report.seen_rows.reference is None
    assert "no sign of it was found" in report.seen_rows.statement
    assert report.warnings == []


@pytest.mark.parametrize(("rows", "said"), [("new", False), ("parts", ["train"])])
def test_where_it_is_said_to_be_unseen_nothing_is_looked_for(folder, rows, said):
    seen = told(folder, rows, seen_by_original=said).seen_rows
    assert (seen.said, seen.assumed, seen.sign, seen.reference) == (False, "unseen", None, None)
    assert seen.statement.startswith("stated: the original has not seen")


def test_the_page_and_the_terminal_say_what_was_assumed(suspected):
    report, _ = suspected
    page = render(report)
    assert "Has the original seen these rows?" in page
    console = Console(record=True, width=400)
    render_terminal(report, console)
    assert "there are signs that the original was trained on these rows" in console.export_text()


def test_splits_that_the_file_does_not_hold_cannot_be_named(folder):
    with pytest.raises(InvalidRequest) as caught:
        told(folder, "new", seen_by_original=["test"])
    assert caught.value.pointer == "#/recipe/seen_by_original"
    with pytest.raises(ValueError, match="seen_by_original"):
        asked(seen_by_original=["tests"])


def test_the_same_seed_finds_the_same_and_a_second_run_reads_it(folder, tmp_path, suspected):
    first, _ = suspected
    model, data = folder / "net.onnx", folder / "seen.npz"
    for _ in range(2):
        again = se.compress(model, data, asked(), work_dir=tmp_path / "work").report.data
        assert again.seen_rows == first.seen_rows
    assert (tmp_path / "work" / "memory-sign.json").is_file()


def test_without_labels_no_sign_can_be_looked_for(folder):
    seen = told(folder, "seen", task="distillation").seen_rows
    assert seen.sign is None
    assert "no sign of it could be looked for" in seen.statement
