"""The report in a terminal: what was asked, what came of it, before and after."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from spectral_engine.report import numbers
from spectral_engine.report.schema import CandidateEntry, Report

COLOURS = {"target_met": "green", "target_not_met": "yellow", "no_gain": "yellow"}


def render_terminal(report: Report, console: Console) -> None:
    """Print outcome, table and warnings."""
    words = report.outcome.replace("_", " ")
    console.print(f"[bold {COLOURS[report.outcome]}]{words}[/]: {report.outcome_reason}")
    console.print(_table(report, report.chosen_candidate()))
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)


def _table(report: Report, chosen: CandidateEntry) -> Table:
    before, after = report.baseline, chosen.measurement
    table = Table("", "before", "after", "")
    name = before.metric.name if before.metric else "metric"
    table.add_row(
        f"{name} (held out)",
        numbers.measured(before.metric),
        numbers.measured(after.metric),
        _drop(name, chosen),
    )
    if chosen.floor_test is not None:
        test = chosen.floor_test
        table.add_row(numbers.floor(name, test), "", "", numbers.finding(name, test))
    for label, form, was, became in (
        ("nodes", numbers.count, before.nodes, after.nodes),
        ("parameters", numbers.count, before.params, after.params),
        ("multiply-adds", numbers.count, before.macs, after.macs),
        ("file", numbers.size, before.file_bytes, after.file_bytes),
    ):
        table.add_row(label, form(was), form(became), f"{numbers.ratio(was, became)} smaller")
    for was_run, is_run, gain in zip(before.latency, after.latency, chosen.speedups, strict=False):
        table.add_row(
            f"latency, batch {was_run.batch_size}",
            numbers.milliseconds(was_run.median_ms),
            numbers.milliseconds(is_run.median_ms),
            f"{gain.ratio:.2f}× ({gain.interval.low:.2f} to {gain.interval.high:.2f}), {gain.verdict}",
        )
    return table


def _drop(name: str, chosen: CandidateEntry) -> str:
    if chosen.drop is None:
        return ""
    found = chosen.drop
    return (
        f"drop {numbers.difference(name, found.value)} ({numbers.interval(name, found.interval)})"
    )
