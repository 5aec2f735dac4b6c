"""The page of results: made of the rows, all of them, the bad ones first."""

import json
from typing import Any

from benchmarks import results, rows
from benchmarks.sections import SECTIONS


def load_row(p99_ms: float, **more: Any) -> dict[str, Any]:
    row = {"requests_per_second": 900.0, "p50_ms": 20.0, "connections": 32, "cores": 2}
    return {**row, "p99_ms": p99_ms, "load_before": 0.5, "measured_at": "2026-01-02T03:04", **more}


def test_the_committed_page_is_current():
    remedy = "run `python -m benchmarks.results` and commit the page"
    assert results.PAGE.read_text("utf-8") == results.render(results.rows_by_benchmark()), remedy


def test_every_row_has_a_line_and_the_worst_stands_first():
    page = results.render({"api_load": [load_row(30.0), load_row(70.0), load_row(50.0)]})
    lines = [line for line in page.splitlines() if line.startswith("| 2026-01-02 03:04")]
    assert [line.split(" | ")[3] for line in lines] == ["70.0", "50.0", "30.0"]


def test_figures_without_a_real_job_are_not_summed_up_as_if_there_had_been_one():
    bare, real = load_row(30.0), load_row(90.0, job="running", steps=[5, 500])
    page = results.render({"api_load": [bare, real]})
    assert "99th percentile 90 ms" in page
    assert "from step 5 to 500" in page
    assert "no row yet was taken beside a job" in results.render({"api_load": [bare]})


def test_a_benchmark_without_rows_says_so_and_names_its_command():
    page = results.render({})
    assert page.count("No row yet.") == len(SECTIONS)
    for section in SECTIONS:
        assert section.command in page


def test_rows_that_nobody_has_described_are_shown_all_the_same():
    page = results.render({"something_new": [{"ratio": 1.23456, "net": "a", "curve": [1, 2]}]})
    assert "python -m benchmarks.something_new" in page
    assert "| 1.235 | a |" in page


def test_every_committed_row_is_whole():
    for path in rows.FOLDER.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            assert isinstance(json.loads(line), dict), path
