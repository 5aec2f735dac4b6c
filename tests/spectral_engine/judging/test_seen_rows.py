"""Rows that the original has seen: said, found, and compared fairly."""

import onnxruntime
import pytest
from rich.console import Console

import spectral_engine as se
from spectral_engine.errors import InvalidRequest
from spectral_engine.report.html import render
from spectral_engine.report.terminal import render_terminal
from tests.support.seen import net_by_heart, rows, save_parts, save_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("seen")
    (path / "net.onnx").write_bytes(net_by_heart())
    for kind in ("seen", "new"):
        save_rows(path / f"{kind}.npz", kind)
    save_parts(path / "parts.npz")
    return path


def right_on_new_rows(model: bytes) -> float:
    session = onnxruntime.InferenceSession(model)
    return float((session.run(None, {"x": rows()["x_new"]})[0].argmax(1) == rows()["y_new"]).mean())


def asked(epochs=4, candidates=2, **said):
    training, prune = {"epochs": epochs}, {"candidates": candidates}
    target = {"max_metric_drop": 0.1}
    return se.Recipe(target=target, training=training, prune=prune, seed=1, **said)


def told(folder, name, **said):
    """Return the report of the shortest job: what it says of the rows does not depend on how it trained."""
    recipe = asked(epochs=1, candidates=1, **said)
    return se.compress(folder / "net.onnx", folder / f"{name}.npz", recipe).report.data


@pytest.fixture(scope="module")
def suspected(folder):
    heard = []
    model, data = folder / "net.onnx", folder / "seen.npz"
    return se.compress(model, data, asked(), heard.append).report.data, heard


def test_rows_that_the_original_knows_are_found_and_warned_of(suspected):
    report, heard = suspected
    seen = report.seen_rows
    assert seen.said is None
    assert seen.sign.found
    assert seen.assumed == "unseen"
    assert any("signs that it was trained on them" in w for w in report.warnings)
    assert any(p.warning and "signs that it was trained on them" in p.warning for p in heard)


def test_both_readings_of_the_floor_are_told(suspected):
    report, _ = suspected
    assert [reading.reading for reading in report.seen_rows.readings] == ["unseen", "seen"]
    assert report.seen_rows.decided_by == "original"
    assert report.seen_rows.readings[0].drop == report.chosen_candidate().drop.value
    assert all(candidate.rehearsed for candidate in report.candidates)


@pytest.fixture(scope="module")
def rehearsed(folder):
    return se.compress(folder / "net.onnx", folder / "seen.npz", asked(seen_by_original=True))


@pytest.fixture(scope="module")
def stated(rehearsed):
    return rehearsed.report.data


def test_where_it_is_said_to_have_seen_them_the_job_is_rehearsed_on_a_net_that_has_not(stated):
    seen = stated.seen_rows
    assert (seen.said, seen.assumed, seen.sign) == (True, "seen", None)
    assert seen.seen_parts == ["train", "val", "test"]
    assert seen.stand_in < stated.baseline.metric.value - 0.05  # what memory was worth
    assert seen.allowance > 0
    assert any("drops against it are overstated" in warning for warning in stated.warnings)


def test_the_rehearsal_decides_and_the_reason_says_so(stated):
    assert stated.seen_rows.doubt is None
    assert stated.seen_rows.decided_by == "rehearsal"
    assert stated.outcome_reason.startswith("in a rehearsal on a stand-in")
    assert ("taken for granted" in stated.outcome_reason) == (stated.outcome == "target_met")
    test, rehearsed = stated.chosen_candidate().floor_test, stated.chosen_candidate().rehearsed
    assert test.upper_bound == rehearsed.upper_bound


def test_true_drops_are_within_the_bound_and_measured_ones_overstate_them(rehearsed):
    before = right_on_new_rows(net_by_heart())
    for candidate in rehearsed.candidates:
        true = before - right_on_new_rows(candidate.model_bytes)
        assert true < candidate.entry.drop.value
        assert true <= candidate.entry.rehearsed.upper_bound


def test_the_page_shows_both_readings(stated):
    page = render(stated)
    assert "rehearsed on a stand-in that has not" in page
    assert "Taken for granted" in page


@pytest.mark.parametrize("rows", ["new", "parts"])
def test_rows_that_it_never_saw_are_not_warned_of(folder, rows):
    report = told(folder, rows)
    assert not report.seen_rows.sign.found
    assert report.seen_rows.stand_in is None
    assert "no sign of it was found" in report.seen_rows.statement
    assert not any("seen" in warning for warning in report.warnings)


@pytest.mark.parametrize(("rows", "said"), [("new", False), ("parts", ["train"])])
def test_where_it_is_said_to_be_unseen_nothing_is_looked_for(folder, rows, said):
    seen = told(folder, rows, seen_by_original=said).seen_rows
    assert (seen.said, seen.assumed, seen.sign, seen.stand_in) == (False, "unseen", None, None)
    assert seen.statement.startswith("stated: the original has not seen")


def test_the_page_and_the_terminal_say_what_was_assumed(suspected):
    report, _ = suspected
    page = render(report)
    assert "Has the original seen these rows?" in page
    console = Console(record=True, width=400)
    render_terminal(report, console)
    assert "there are signs that it was trained on them" in console.export_text()


def test_splits_that_the_file_does_not_hold_cannot_be_named(folder):
    with pytest.raises(InvalidRequest) as caught:
        told(folder, "new", seen_by_original=["test"])
    assert caught.value.pointer == "#/recipe/seen_by_original"
    with pytest.raises(ValueError, match="seen_by_original"):
        asked(seen_by_original=["tests"])


@pytest.mark.parametrize(
    ("rows", "beside", "in_recipe"),
    [("parts", ["train"], {}), ("new", True, {"seen_by_original": False})],
)
def test_it_may_be_said_beside_the_data_and_what_the_recipe_says_wins(
    folder, rows, beside, in_recipe
):
    model, data = folder / "net.onnx", folder / f"{rows}.npz"
    recipe = asked(epochs=1, candidates=1, **in_recipe)
    report = se.compress(model, data, recipe, seen_by_original=beside).report.data
    assert report.seen_rows.said is False
    assert report.seen_rows.statement.startswith("stated: the original has not seen")
    assert report.recipe["seen_by_original"] == in_recipe.get("seen_by_original", beside)


@pytest.mark.parametrize("beside", [["test"], ["tests"], "perhaps"])
def test_what_cannot_be_said_beside_the_data_is_an_error_at_its_own_field(folder, beside):
    with pytest.raises(InvalidRequest) as caught:
        se.check(folder / "net.onnx", folder / "new.npz", seen_by_original=beside)
    assert caught.value.pointer == "#/seen_by_original"


class Stopped(Exception):
    """The process that ran the job is gone."""


def test_a_job_that_stopped_in_its_rehearsal_goes_on_and_says_the_same(folder, tmp_path, suspected):
    first, _ = suspected
    model, data, heard = folder / "net.onnx", folder / "seen.npz", []

    def stop(progress):
        heard.append(progress.fraction)
        if progress.message == "rehearsing on a stand-in" and progress.fraction > 0.8:
            raise Stopped

    with pytest.raises(Stopped):
        se.compress(model, data, asked(), stop, tmp_path)
    assert heard == sorted(heard)
    again = se.compress(model, data, asked(), work_dir=tmp_path).report.data
    assert again.seen_rows == first.seen_rows
    assert [c.rehearsed for c in again.candidates] == [c.rehearsed for c in first.candidates]


def test_without_labels_no_sign_can_be_looked_for(folder):
    seen = told(folder, "seen", task="distillation").seen_rows
    assert seen.sign is None
    assert "no sign of it could be looked for" in seen.statement
