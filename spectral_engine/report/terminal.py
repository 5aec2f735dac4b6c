"""The report in a terminal: what was asked, what came of it, before and after."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from spectral_engine.records.report import CandidateEntry, Links, Report
from spectral_engine.report import numbers

COLOURS = {"target_met": "green", "target_not_met": "yellow", "no_gain": "yellow"}


def render_terminal(report: Report, console: Console) -> None:
    """Print outcome, table and warnings."""
    words = report.outcome.replace("_", " ")
    console.print(f"[bold {COLOURS[report.outcome]}]{words}[/]: {report.outcome_reason}")
    console.print(_table(report, report.chosen_candidate()))
    console.print(f"removed: {report.plan().statement}", markup=False, highlight=False)
    told = report.seen_rows.statement if report.seen_rows is not None else ""
    if told and not any(told in warning for warning in report.warnings):
        console.print(told, markup=False)
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)


def _table(report: Report, chosen: CandidateEntry) -> Table:
    before, after = report.baseline, chosen.measurement
    table = Table("", "before", "after", "")
    name = before.metric.name if before.metric else "metric"
    table.add_row(
        f"{name} (held out)",
        numbers.reference(before.metric),
        numbers.held_out(after, before),
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
    if chosen.links is not None:
        _add_links(table, report, chosen.links)
    for was_run, is_run, gain in zip(before.latency, after.latency, chosen.speedups, strict=False):
        table.add_row(
            f"latency, batch {was_run.batch_size}",
            numbers.milliseconds(was_run.median_ms),
            numbers.milliseconds(is_run.median_ms),
            f"{gain.ratio:.2f}× ({gain.interval.low:.2f} to {gain.interval.high:.2f}), {gain.verdict}",
        )
    return table


def _add_links(table: Table, report: Report, links: Links) -> None:
    before, after = numbers.count(links.before), numbers.count(links.after)
    table.add_row("links", before, after, f"density {links.density:.3g}, {links.pattern}")
    macs = report.baseline.macs
    table.add_row(
        "multiply-adds but for zeros",
        numbers.count(macs),
        numbers.count(links.effective_macs),
        f"{numbers.ratio(macs, links.effective_macs)} fewer, where a runtime skips zeros",
    )
    if report.topology:
        last = report.topology[-1]
        table.add_row(
            "topology",
            "",
            f"{last.new_since_start:.0%} new",
            f"{numbers.count(last.reentered)} links came back after they had gone",
        )


def _drop(name: str, chosen: CandidateEntry) -> str:
    if chosen.drop is None:
        return ""
    drop = chosen.drop
    return f"drop {numbers.difference(name, drop.value)} ({numbers.interval(name, drop.interval)})"
