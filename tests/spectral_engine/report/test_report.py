"""The report's forms: the same numbers in each, whole by themselves, and safe whatever names they hold."""

import csv
import io
import json
import os
from itertools import pairwise
from pathlib import Path

import jsonschema
import pytest

import spectral_engine as se
from spectral_engine.records.report import InputRelevance, NodeRelevance
from spectral_engine.report import numbers
from spectral_engine.report.csv import relevance_csv
from spectral_engine.report.html import render
from spectral_engine.report.json_schema import json_schema
from spectral_engine.report.terminal import render_terminal
from tests.support.digits import save_digits, trained
from tests.support.page import Page

HOSTILE = "</script><img src=x onerror=alert(1)>"
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    data = save_digits(tmp_path_factory.mktemp("report") / "digits.npz")
    target = {"keep_nodes": 0.5, "max_metric_drop": 0.1}
    recipe = se.Recipe(target=target, training={"epochs": 4}, prune={"candidates": 3})
    return se.compress(trained(), data, recipe).report.data


@pytest.fixture(scope="module")
def bare(report):
    """As little as a report may hold: no labels, one candidate, no latency, nothing of the inputs."""
    chosen = report.chosen_candidate()
    measurement = chosen.measurement.model_copy(update={"metric": None, "latency": []})
    absent = {"drop": None, "floor_test": None, "speedups": []}
    only = chosen.model_copy(update={"measurement": measurement, **absent})
    baseline = report.baseline.model_copy(update={"metric": None, "latency": []})
    lists = ("spectra", "relevance", "input_relevance", "path", "untouched", "warnings")
    nothing = {key: [] for key in lists}
    return report.model_copy(update={"candidates": [only], "baseline": baseline, **nothing})


def test_the_page_states_the_reports_own_numbers(report):
    words = Page(render(report)).words
    chosen = report.chosen_candidate()
    for expected in (
        numbers.measured(report.baseline.metric),
        numbers.measured(chosen.measurement.metric),
        numbers.count(chosen.measurement.macs),
        numbers.size(chosen.measurement.file_bytes),
        report.provenance.model_sha256,
        chosen.measurement.sha256,
    ):
        assert expected in words


def test_page_and_terminal_say_what_is_shown_of_the_floor(report):
    from rich.console import Console

    test = report.chosen_candidate().floor_test
    finding = numbers.finding("accuracy", test)
    assert finding.startswith("shown: below")
    words = Page(render(report)).words
    assert f"truly keep to a {numbers.floor('accuracy', test)}?" in words
    assert finding in words
    assert test.method in words
    console = Console(file=io.StringIO(), width=140)
    render_terminal(report, console)
    assert finding in console.file.getvalue()


def test_page_and_terminal_say_what_was_removed_and_the_page_by_layer(report):
    from rich.console import Console

    plan, page = report.plan(), Page(render(report)).words
    console = Console(file=io.StringIO(), width=400)
    render_terminal(report, console)
    for words in (page, console.file.getvalue()):
        assert f"{plan.after.nodes} of {plan.before.nodes} nodes (48 allowed)" in words
    for layer in plan.layers:
        assert f"{layer.layer} {layer.before} {layer.asked} {layer.after}" in page
    assert "10 10 10 graph output" in page


def test_a_report_of_before_there_were_plans_is_shown_too(report):
    from rich.console import Console

    stored = json.loads(report.model_dump_json())
    for entry in stored["candidates"]:
        for width in entry["widths"]:
            for name in ("asked", "coupled", "reason"):
                del width[name]
    stored["recipe"] = {}
    old = type(report).model_validate(stored)
    render_terminal(old, Console(file=io.StringIO(), width=200))
    for layer in report.plan().layers:
        assert (
            f"{layer.layer} {layer.before} {layer.after} {layer.after}" in Page(render(old)).words
        )


def test_a_baseline_that_is_compared_with_itself_is_the_reference_and_has_no_figure(report):
    from rich.console import Console

    metric = report.baseline.metric.model_copy(update={"value": 1.0, "against": "original"})
    baseline = report.baseline.model_copy(update={"metric": metric})
    unlabelled = report.model_copy(update={"baseline": baseline})
    console = Console(file=io.StringIO(), width=160)
    render_terminal(unlabelled, console)
    for words in (Page(render(unlabelled)).words, console.file.getvalue()):
        assert "reference, by definition" in words
        assert "100.00 % (" not in words


def test_an_original_that_is_handed_back_is_the_reference_in_every_place(report):
    from rich.console import Console

    metric = report.baseline.metric.model_copy(update={"value": 1.0, "against": "original"})
    baseline = report.baseline.model_copy(update={"metric": metric})
    entries = [
        entry.model_copy(update={"measurement": baseline}) if entry.chosen else entry
        for entry in report.candidates
    ]
    handed_back = report.model_copy(update={"baseline": baseline, "candidates": entries})
    console = Console(file=io.StringIO(), width=160)
    render_terminal(handed_back, console)
    for words in (Page(render(handed_back)).words, console.file.getvalue()):
        assert words.count("reference, by definition") == 2
        assert "100.00 % (" not in words


def test_the_page_needs_nothing_from_elsewhere(report):
    page = Page(render(report))
    assert all(address.startswith("data:image/png") for address in page.addresses)
    policy = next(
        a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy


def test_headings_are_in_order_and_pictures_have_words(report):
    page = Page(render(report))
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3"}]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for tag, attributes in page.tags:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden")


def test_the_embedded_json_is_the_report(report):
    html = render(report)
    start = html.index('id="report">') + len('id="report">')
    assert json.loads(html[start : html.index("</script>", start)]) == json.loads(
        report.model_dump_json()
    )


def test_hostile_names_are_inert(report):
    node = NodeRelevance(layer=HOSTILE, index=0, eigenvalue=1.0, relevance=1.0, kept=True)
    spectra = [item.model_copy(update={"transfer": HOSTILE}) for item in report.spectra]
    features = InputRelevance(
        input=HOSTILE, shape=[2], values=[1.0, 0.5], feature_names=[HOSTILE, "b"]
    )
    hostile = report.model_copy(
        update={
            "relevance": [node],
            "spectra": spectra,
            "input_relevance": [features],
            "warnings": [HOSTILE],
            "outcome_reason": HOSTILE,
        }
    )
    page = Page(render(hostile))
    assert not [tag for tag, attributes in page.tags if "onerror" in attributes]
    assert [tag for tag, _ in page.tags].count("script") == 2


def test_a_report_with_as_little_as_possible_still_makes_a_page(bare):
    words = Page(render(bare)).words
    assert "not measured" in words
    assert "Spectra" not in words


def test_a_table_s_features_are_named_bars_and_images_are_pictures(report):
    page = Page(render(report))
    assert any(tag == "img" for tag, _ in page.tags)  # 64 pixels: a square
    features = InputRelevance(
        input="x", shape=[2], values=[0.2, 0.9], feature_names=["age", "income"]
    )
    words = Page(render(report.model_copy(update={"input_relevance": [features]}))).words
    looks_at = words[words.index("What the model looks at") :]
    assert looks_at.index("income") < looks_at.index("age ")


def test_ten_thousand_nodes_stay_a_light_page(report):
    nodes = [
        NodeRelevance(
            layer=f"layer {i // 2500}", index=i % 2500, eigenvalue=1.0, relevance=i, kept=i % 7 == 0
        )
        for i in range(10_000)
    ]
    html = render(report.model_copy(update={"relevance": nodes}))
    assert len(html) < 3_000_000
    assert "further nodes stand in the CSV" in html


def test_the_csv_holds_every_node_and_no_formula(report):
    nodes = [node.model_copy(update={"layer": f"={node.layer}"}) for node in report.relevance]
    rows = list(
        csv.DictReader(io.StringIO(relevance_csv(report.model_copy(update={"relevance": nodes}))))
    )
    assert len(rows) == len(report.relevance)
    assert all(row["layer"].startswith("'=") for row in rows)
    assert [int(row["index"]) for row in rows] == [node.index for node in report.relevance]
    assert sum(row["kept"] == "True" for row in rows) == report.chosen_candidate().measurement.nodes


def test_the_terminal_shows_before_and_after(report):
    from rich.console import Console

    console = Console(file=io.StringIO(), width=140)
    render_terminal(report, console)
    shown = console.file.getvalue()
    assert "target met" in shown
    assert numbers.count(report.baseline.macs) in shown


def test_the_published_schema_is_the_codes_and_takes_the_report(report):
    published = json.loads(Path("docs/report.schema.json").read_text())
    assert published == json.loads(json.dumps(json_schema()))
    jsonschema.validate(json.loads(report.model_dump_json()), published)


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium on this machine")
def test_a_browser_shows_the_page_offline_and_sorts_its_tables(report, tmp_path):
    sync = pytest.importorskip("playwright.sync_api")
    path = tmp_path / "report.html"
    path.write_text(render(report))
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=CHROMIUM_FLAGS,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        page = browser.new_context(offline=True).new_page()
        troubles, requests = [], []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        page.locator("summary").first.click()
        page.get_by_role("button", name="relevance").first.click()
        cells = page.locator("details[open] tbody tr td:nth-child(3)").evaluate_all(
            "cells => cells.map(cell => Number(cell.dataset.value))"
        )
        browser.close()
    assert troubles == []
    assert all(url.startswith(("file:", "data:")) for url in requests)
    assert cells == sorted(cells, reverse=True)
