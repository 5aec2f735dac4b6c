"""How each benchmark's rows are shown."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Show = Callable[[Row], str]


@dataclass(frozen=True)
class Section:
    """One benchmark; `badness` is larger for rows that look worse."""

    name: str
    title: str
    command: str
    columns: dict[str, Show]
    goal: str = ""
    badness: Callable[[Row], float] = lambda _: 0.0
    summary: Callable[[list[Row]], str] | None = None


def measured_at(row: Row) -> str:
    """Return when a row was measured."""
    return str(row.get("measured_at") or row.get("at") or "")[:16].replace("T", " ")


def unknown(name: str, own: list[Row]) -> Section:
    """Return how to show rows that nobody has described: every plain value, in order."""
    keys = dict.fromkeys(
        key for row in own for key, value in row.items() if not isinstance(value, list | dict)
    )
    columns = {key: _shower(key) for key in keys}
    return Section(name, name.replace("_", " "), f"python -m benchmarks.{name}", columns)


def _shower(key: str) -> Show:
    return lambda row: _plain(row.get(key))


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _points(value: float) -> str:
    return f"{100 * value:.2f}"


def _change(pair: list[int]) -> str:
    return f"{pair[0]:,} → {pair[1]:,}"


def _pruning_summary(own: list[Row]) -> str:
    drops, speedups = ([row[key] for row in own] for key in ("drop", "speedup_batch_1"))
    return (
        f"{len(own)} runs: {_points(statistics.mean(drops))} points lost on average, {_points(max(drops))} at worst; "
        f"at least {min(speedups):.2f} times faster"
    )


def _load_summary(own: list[Row]) -> str:
    with_job = [row for row in own if row.get("job")]
    if not with_job:
        return "no row yet was taken beside a job in a real worker"
    rates = [row["requests_per_second"] for row in with_job]
    p99 = [row["p99_ms"] for row in with_job]
    return (
        f"beside a job in a real worker: {_span(rates)} requests a second, "
        f"99th percentile {_span(p99)} ms"
    )


def _span(values: list[float]) -> str:
    ends = [f"{end:,.0f}" for end in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _beside(row: Row) -> str:
    if not row.get("job"):
        return "records written twice a second, no worker"
    return f"a worker that went from step {row['steps'][0]} to {row['steps'][1]}"


SECTIONS = [
    Section(
        name="digits_pruning",
        title="A tenth of the hidden nodes: 784-500-500-10 on MNIST's 5,000-image sample",
        command="python -m benchmarks.digits_pruning --seeds 3 --keep 0.1",
        goal="at most 1.0 point lost, mean of 3 seeds; at least 3 times faster at batch 1.",
        badness=lambda row: row["drop"],
        summary=_pruning_summary,
        columns={
            "measured": measured_at,
            "seed": lambda row: str(row["seed"]),
            "points lost": lambda row: _points(row["drop"]),
            "interval": lambda row: " to ".join(map(_points, row["drop_interval"])),
            "accuracy": lambda row: f"{row['accuracy_before']:.3f} → {row['accuracy_after']:.3f}",
            "nodes": lambda row: _change(row["nodes"]),
            "parameters": lambda row: _change(row["params"]),
            "bytes": lambda row: _change(row["file_bytes"]),
            "times faster": lambda row: f"{row['speedup_batch_1']:.2f}",
            "masked against cut": lambda row: f"{row['exactness']:.1e}",
            "training s": lambda row: f"{row['training_seconds']:.0f}",
        },
    ),
    Section(
        name="spectral_step",
        title="A training step in spectral form against the same step on plain weights",
        command="python -m benchmarks.spectral_step --rounds 60",
        goal="the ratio of both times, in one run.",
        badness=lambda row: row["ratio"],
        columns={
            "measured": measured_at,
            "net": lambda row: str(row["net"]),
            "times slower": lambda row: f"{row['ratio']:.2f}",
            "spectral ms": lambda row: f"{row['spectral_ms']:.2f}",
            "plain ms": lambda row: f"{row['plain_ms']:.2f}",
            "batch": lambda row: str(row["batch"]),
            "threads": lambda row: str(row["threads"]),
        },
    ),
    Section(
        name="api_load",
        title="`GET /v1/jobs/{id}` under 32 connections, with a job running",
        command="python -m benchmarks.api_load",
        goal="requests a second and 99th percentile, with a job running. Server, worker and client share the machine.",
        badness=lambda row: row["p99_ms"],
        summary=_load_summary,
        columns={
            "measured": measured_at,
            "requests/s": lambda row: f"{row['requests_per_second']:,.0f}",
            "p50 ms": lambda row: f"{row['p50_ms']:.1f}",
            "p99 ms": lambda row: f"{row['p99_ms']:.1f}",
            "connections": lambda row: str(row["connections"]),
            "beside it": _beside,
            "cores": lambda row: str(row["cores"]),
            "load of the machine before": lambda row: f"{row['load_before']:.1f}",
        },
    ),
    Section(
        name="large_model",
        title="A model over 2 GiB, compressed from file to file",
        command="python -m benchmarks.large_model",
        goal="it works, within five times the bytes of its weights. Own memory leaves out pages of mapped files.",
        badness=lambda row: row["peak_own_mib"],
        columns={
            "measured": measured_at,
            "kept": lambda row: f"{row['keep_nodes']:g}",
            "parameters": lambda row: _change(row["params"]),
            "bytes": lambda row: _change(row["file_bytes"]),
            "in one file": lambda row: "yes" if row["in_one_file"] else "no",
            "own memory MiB": lambda row: f"{row['peak_own_mib']:,.0f}",
            "of the weights": lambda row: (
                f"{row['peak_own_mib'] * 2**20 / (4 * row['params'][0]):.2f}"
            ),
            "with mapped files MiB": lambda row: f"{row['peak_memory_mib']:,.0f}",
            "seconds": lambda row: f"{row['seconds']:,.0f}",
            "training s": lambda row: f"{row['training_seconds']:,.0f}",
            "masked against cut": lambda row: f"{row['exactness']:.1e}",
        },
    ),
]
