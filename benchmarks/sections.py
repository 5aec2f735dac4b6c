"""How each benchmark's rows are shown."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import summaries
from benchmarks.fuzzing import summary as fuzzing
from benchmarks.input_relevance import summary as relevance
from benchmarks.real_files import summary as real_files
from benchmarks.seen_rows import convolutions_summary as seen_convolutions
from benchmarks.seen_rows import summary as seen
from benchmarks.sparcs import summary as sparcs
from benchmarks.speed import equal_time_summary as equal_time

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
    overview: Callable[[list[Row]], list[list[str]]] | None = (
        None  # a table before that of the rows
    )
    most: int | None = None  # rows shown, the worst ones; all of them where nothing is said


def measured_at(row: Row) -> str:
    """Return when a row was measured."""
    return str(row.get("measured_at") or row.get("at") or "")[:16].replace("T", " ")


def unknown(name: str, rows: list[Row]) -> Section:
    """Return how to show rows that nobody has described: every plain value, in order."""
    keys = dict.fromkeys(
        key for row in rows for key, value in row.items() if not isinstance(value, list | dict)
    )
    columns = {key: _shower(key) for key in keys}
    return Section(name, name.replace("_", " "), f"python -m benchmarks.{name}", columns)


def _shower(key: str) -> Show:
    return lambda row: _plain(row.get(key))


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _counted(kind: str) -> Show:
    return lambda row: f"{row[kind]:,}" if kind in row else ""


def _start_up(case: str) -> Show:
    return lambda row: (
        f"{1000 * row['median_seconds'][case]:,.0f} ({1000 * row['least_seconds'][case]:,.0f})"
    )


def _of_original(amounts: dict[str, float], who: str) -> float:
    return amounts[who] / amounts["original"]


def _largest_stages(stages: dict[str, float]) -> str:
    """Name what took most, in plain trainings."""
    largest = sorted(stages.items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{name} {share:.2f}" for name, share in largest)


def _points(value: float) -> str:
    return f"{100 * value:.2f}"


def _drops(levels: list[dict[str, Any]], cooled: str) -> str:
    return ", ".join(f"{100 * level[cooled]['drop']:.1f}" for level in levels)


def _change(pair: list[int]) -> str:
    return f"{pair[0]:,} → {pair[1]:,}"


def _pruning_summary(rows: list[Row]) -> str:
    drops, speedups = ([row[key] for row in rows] for key in ("drop", "speedup_batch_1"))
    return (
        f"{len(rows)} runs: {_points(statistics.mean(drops))} points lost on average, {_points(max(drops))} at worst; "
        f"at least {min(speedups):.2f} times faster"
    )


def _load_summary(rows: list[Row]) -> str:
    with_job = [row for row in rows if row.get("job")]
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


def _floor_summary(rows: list[Row]) -> str:
    """Splits in which some candidate is worse than the floor by next to nothing, all together."""
    worst = [row for row in rows if row["worst_case"] and row["part"] != "asymptotic"]
    splits = sum(row["splits"] for row in worst)
    if not splits:
        return "no row yet of the worst case"

    def share(rule: str) -> str:
        return f"{sum(r['rules'][rule]['worse'] * r['splits'] for r in worst) / splits:.1%}"

    return (
        f"in the worst case a model worse than the floor was handed back as certified in {share('certified')} of "
        f"{splits:,} splits (5 % allowed), uncorrected in {share('uncorrected')}, "
        f"by the measured drop alone in {share('point_estimate')}"
    )


def _by_rule(key: str) -> Show:
    """Show one figure of certified, uncorrected and point estimate, in this order."""

    def show(row: Row) -> str:
        rules = [row["rules"].get(name) for name in FLOOR_RULES]
        return " · ".join("–" if rule is None else f"{100 * rule[key]:.1f}" for rule in rules)

    return show


def _at_the_floor(row: Row) -> bool:
    return abs(float(row["lost"]) - row["gained"] - row["floor"]) < 1e-9


def _passed(test: str) -> Show:
    return lambda row: f"{100 * row['passed'][test]:.1f}"


def _both_clocks(name: str) -> Show:
    """Show a span in processor seconds, and in seconds behind it."""
    return lambda row: f"{row['processor'][name]:.2f} ({row['seconds'][name]:.2f})"


def _ratio(row: Row) -> str:
    return (
        f"{row['processor']['whole_to_training']:.2f} ({row['seconds']['whole_to_training']:.2f})"
    )


def _dead_time_summary(rows: list[Row]) -> str:
    """Say what the last build that was measured takes where a job comes to a server at rest."""
    last = rows[-1]["build"]
    warm = [row for row in rows if row["build"] == last and row["state"] == "warm"]
    if not warm:
        return "the last build has no warm job"
    spans = {
        name: _from_to([row["processor"][name] for row in warm])
        for name in ("submit_to_training", "measured_to_result")
    }
    parts = [
        f"{spans['submit_to_training']} processor seconds from submit to training",
        f"{spans['measured_to_result']} from the last measurement to the result",
    ]
    for epochs in sorted({row["epochs"] for row in warm}):
        ratios = [row["processor"]["whole_to_training"] for row in warm if row["epochs"] == epochs]
        parts.append(f"the whole {_from_to(ratios)} times the training of {epochs} epochs")
    return f"{last}, warm: {', '.join(parts)}."


def _from_to(values: list[float]) -> str:
    ends = sorted({f"{min(values):.2f}", f"{max(values):.2f}"})
    return " to ".join(ends)


FLOOR_RULES = ("certified", "uncorrected", "point_estimate")


def _gpu_summary(rows: list[Row]) -> str:
    """Say how far the engine's step is from torch's where both train the same net, and what else the rows hold."""
    ratios = [
        row["times_plain"]
        for row in rows
        if row["loop"] == "engine, spectral" and "times_plain" in row
    ]
    folded = any(row.get("normalisations") == "folded away" for row in rows)
    parts = [f"Spectral steps take {min(ratios):.2f} to {max(ratios):.2f} times plain torch's"]
    parts += [
        "steps of a net whose normalisations were folded away have no ratio: they train another net"
    ] * folded
    return "; ".join(parts) + "."


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
            "loop": lambda row: row.get("loop", "step alone"),
            "times slower": lambda row: f"{row['ratio']:.2f}",
            "spectral ms": lambda row: f"{row['spectral_ms']:.2f}",
            "plain ms": lambda row: f"{row['plain_ms']:.2f}",
            "batch": lambda row: str(row["batch"]),
            "threads": lambda row: str(row["threads"]),
        },
    ),
    Section(
        name="means",
        title="Means of removed nodes from one batch, or from many rows",
        command="python -m benchmarks.quality.means",
        goal="no error more: the error with means from one batch over that with means from 1,024 rows.",
        badness=lambda row: row["test"]["one batch"] / row["test"]["many rows"],
        columns={
            "measured": measured_at,
            "setting": lambda row: str(row["setting"]),
            "share of nodes": lambda row: f"{row['level']:g}",
            "seed": lambda row: str(row["seed"]),
            "test error ratio": lambda row: (
                f"{row['test']['one batch'] / row['test']['many rows']:.3f}"
            ),
            "one batch": lambda row: f"{row['test']['one batch']:.4f}",
            "many rows": lambda row: f"{row['test']['many rows']:.4f}",
        },
    ),
    Section(
        name="short",
        title="Short trainings: one bite a step, and means from one batch, or every bite by itself and many rows",
        command="python -m benchmarks.quality.short",
        goal="no error more: the error as it is over that with every bite by itself and means from 1,024 rows.",
        badness=lambda row: row["test"]["now"] / row["test"]["before"],
        columns={
            "measured": measured_at,
            "training": lambda row: str(row["cell"]),
            "seed": lambda row: str(row["seed"]),
            "test error ratio": lambda row: f"{row['test']['now'] / row['test']['before']:.3f}",
            "now": lambda row: f"{row['test']['now']:.4f}",
            "before": lambda row: f"{row['test']['before']:.4f}",
        },
    ),
    Section(
        name="bisection",
        title="A floor and no budget: candidates cooled for a third of the steps, and for all",
        command="python -m benchmarks.quality.bisection",
        goal="short coolings that tell which candidates are near the floor; drops on validation rows, from wide to "
        "narrow. The program prints what is handed back where some alone are finished.",
        badness=lambda row: max(
            abs(level["short"]["drop"] - level["full"]["drop"]) for level in row["levels"]
        ),
        columns={
            "measured": measured_at,
            "setting": lambda row: str(row["setting"]),
            "seed": lambda row: str(row["seed"]),
            "drop after a third, points": lambda row: _drops(row["levels"], "short"),
            "drop after all": lambda row: _drops(row["levels"], "full"),
        },
    ),
    Section(
        name="without_training",
        title="The error without any training, ours and others",
        command="python -m benchmarks.without_training --seeds 2 --peers FOLDER",
        goal="error with least squares over that of torch-pruning and onnxsim at most 0.5, of OSSCAR at most 0.9, "
        "which was not run.",
        badness=lambda row: row["test"],
        summary=summaries.of_no_training,
        columns={
            "measured": measured_at,
            "setting": lambda row: str(row["setting"]),
            "kept": lambda row: f"{row['level']:g} of {row['resource']}",
            "seed": lambda row: str(row["seed"]),
            "method": lambda row: str(row["method"]),
            "error": lambda row: f"{100 * row['test']:.1f} %",
            "original": lambda row: f"{100 * row['original']:.1f} %",
            "seconds": lambda row: f"{row['seconds']:.1f}",
            "of processor": lambda row: f"{row['processor_seconds']:.1f}",
        },
    ),
    Section(
        name="step_excess",
        title="A whole training step against plain PyTorch",
        command="python -m benchmarks.step_excess",
        goal="at most 1.05 times a plain step, in processor time and in turns, with all that a job does at each step.",
        badness=lambda row: row["times_plain"],
        columns={
            "measured": measured_at,
            "net": lambda row: str(row["net"]),
            "times plain": lambda row: f"{row['times_plain']:.2f}",
            "engine ms": lambda row: f"{row['engine_ms']:.1f}",
            "plain ms": lambda row: f"{row['plain_ms']:.1f}",
            "batch": lambda row: str(row["batch"]),
        },
    ),
    Section(
        name="gpu",
        title="On a GPU",
        command="python -m benchmarks.gpu",
        goal="a step's time over that of plain torch on the same card and in the same precision, each from rows in the "
        "host's memory to a loss that Python has read; and whole jobs, on the card and on the CPU of the same machine.",
        badness=lambda row: row.get("times_plain", 0.0),
        summary=_gpu_summary,
        columns={
            "measured": measured_at,
            "card": lambda row: str(row["card"]),
            "net": lambda row: str(row["net"]),
            "loop": lambda row: str(row["loop"]),
            "precision": lambda row: str(row["precision"]),
            "batch": lambda row: str(row["batch"]),
            "normalisations": lambda row: row.get("normalisations", ""),
            "ms a step": lambda row: f"{row['ms']:.2f}" if "ms" in row else "",
            "times plain torch": lambda row: (
                f"{row['times_plain']:.2f}" if "times_plain" in row else ""
            ),
            "copies a step": lambda row: str(row.get("copies", "")),
            "seconds of the job": lambda row: f"{row['seconds']:.1f}" if "seconds" in row else "",
            "accuracy": lambda row: _points(row["accuracy"]) if "accuracy" in row else "",
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
        name="dead_time",
        title="Where the time of a REST job goes besides its training",
        command="python -m benchmarks.dead_time --epochs 3 120 --rounds 2",
        goal="for a job that comes to a server at rest: at most 2 s from submit to training, 1 s from the last "
        "measurement to the result; the whole at most 3 times the training of 3 epochs, and 1.15 times that of about a "
        "minute. In processor seconds of all of the service, in seconds behind them: others used the machine too.",
        badness=lambda row: row["processor"]["whole_to_training"],
        summary=_dead_time_summary,
        columns={
            "measured": measured_at,
            "build": lambda row: str(row["build"]),
            "server": lambda row: str(row["state"]),
            "epochs": lambda row: str(row["epochs"]),
            "whole ÷ training": _ratio,
            "submit to training": _both_clocks("submit_to_training"),
            "of it to the engine's first word": lambda row: (
                f"{row['processor']['to_claim'] + row['processor']['to_engine']:.2f}"
            ),
            "training": _both_clocks("training"),
            "measuring": _both_clocks("measuring"),
            "to the result": _both_clocks("measured_to_result"),
            "peak MB": lambda row: f"{row['peak_memory_bytes'] / 1e6:.0f}",
            "cores": lambda row: str(row["cores"]),
            "load after": lambda row: f"{row['load']:.1f}",
        },
    ),
    Section(
        name="papers",
        title="Against figures that papers print",
        command="python -m benchmarks.papers",
        goal="3 × 500 ReLU with 95 % of the hidden nodes removed: MNIST 98.0 %, Fashion-MNIST 88.5 %; LeNet-300-100: "
        "fewer hidden nodes than VIB's 71 and 33 at 98.4 %; 3 × 1,568 with 99 % of the links removed: MNIST 98.83 %, "
        "Fashion-MNIST 90.93 %. Accuracies on the test rows, in per cent.",
        badness=lambda row: row["goal"] - row["accuracy"],
        columns={
            "measured": measured_at,
            "setting": lambda row: str(row["setting"]),
            "the paper's": lambda row: str(row["paper"]),
            "seed": lambda row: str(row["seed"]),
            "epochs": lambda row: str(row["epochs"]),
            "before": lambda row: f"{row['start_accuracy']:.2f}",
            "accuracy": lambda row: f"{row['accuracy']:.2f}",
            "goal": lambda row: f"{row['goal']:g}",
            "hidden nodes": lambda row: "-".join(map(str, row["widths"])),
        },
    ),
    Section(
        name="speed",
        title="Cut files beside Torch-Pruning's at the same multiply-adds",
        command="python -m benchmarks.speed",
        goal="never slower than Torch-Pruning's with widths of multiples of 8, nor than the original; where the "
        "original is bound by arithmetic, at least 0.8 of the gain that the multiply-adds promise. Processor time, one "
        "thread.",
        badness=lambda row: (
            row["microseconds"]["ours"]
            / row["microseconds"].get("theirs", row["microseconds"]["original"])
        ),
        summary=summaries.of_speed,
        columns={
            "measured": measured_at,
            "net": lambda row: row["net"],
            "rows": lambda row: str(row["batch"]),
            "multiply-adds left": lambda row: f"{_of_original(row['macs'], 'ours'):.0%}",
            "times faster": lambda row: f"{1 / _of_original(row['microseconds'], 'ours'):.2f}",
            "Torch-Pruning": lambda row: (
                f"{1 / _of_original(row['microseconds'], 'theirs'):.2f}"
                if "theirs" in row["microseconds"]
                else "none"
            ),
            "ours ÷ theirs": lambda row: (
                f"{row['microseconds']['ours'] / row['microseconds']['theirs']:.2f}"
                if "theirs" in row["microseconds"]
                else ""
            ),
            "of the core's peak": lambda row: f"{row['of_peak']:.0%}",
            "nodes once optimised": lambda row: ", ".join(
                f"{who} {count}" for who, count in row["optimised_nodes"].items()
            ),
        },
    ),
    Section(
        name="equal_time",
        title="Quality at equal time: beside Torch-Pruning's files, tuned alike",
        command="python -m benchmarks.speed.equal_time",
        goal="an error of at most Torch-Pruning's, from a file that answers in its time: one that takes more than "
        "1.03 times as long does not count, nor does a limit that was refused. Torch-Pruning cuts to a share of the "
        "multiply-adds with `round_to=8`, or less where a net is too narrow for 8; its time in onnxruntime, as a share "
        "of the original's, is our `max_latency_ms`, which is of one row. Both train for as many steps. In a pair: "
        "ours · theirs. Processor time, one thread.",
        badness=equal_time.badness,
        summary=equal_time.in_words,
        columns={
            "measured": measured_at,
            "run": lambda row: str(row["run"]),
            "setting": lambda row: str(row["setting"]),
            "share asked of Torch-Pruning": lambda row: f"{row['share']:.0%}",
            "its multiples": lambda row: str(row["round_to"]),
            "seed": lambda row: str(row["seed"]),
            "steps": lambda row: f"{row['steps']:,}",
            "outcome": equal_time.verdict,
            "time ours ÷ theirs, 1 row": equal_time.times_shown("1"),
            "32 rows": equal_time.times_shown("32"),
            "test error %": equal_time.beside("test"),
            "multiply-adds left %": equal_time.beside("macs", 0.0),
            "widths": equal_time.widths,
        },
    ),
    Section(
        name="curve_cost",
        title="A job of eight candidates, in plain trainings of the same steps",
        command="python -m benchmarks.curve_cost",
        goal="at most 2.0 for the path with its candidates, on perceptrons and convolutions. Processor time; the job "
        "adds what the data mean, held-out rows, latency and the report. Rows without a job are of wall time.",
        badness=lambda row: row["ratio"],
        columns={
            "measured": measured_at,
            "code": lambda row: str(row.get("code", "")),
            "setting": lambda row: str(row["setting"]),
            "epochs": lambda row: str(row["epochs"]),
            "plain training s": lambda row: f"{row['plain_seconds']:.1f}",
            "path s": lambda row: f"{row['curve_seconds']:.1f}",
            "path": lambda row: f"{row['ratio']:.2f}",
            "job": lambda row: f"{row['job_ratio']:.2f}" if "job_ratio" in row else "",
            "of it": lambda row: _largest_stages(row.get("stages", {})),
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
    Section(
        name="larger_than_memory",
        title="Data larger than memory: a small job under a limit of 1.5 GiB",
        command="python -m benchmarks.larger_than_memory",
        goal="files of several GB, with less than 1.5 GiB of memory that is the process's own. The limit (RLIMIT_DATA) "
        "counts what the process asks for, and no mapped files; anonymous pages are those that it has.",
        badness=lambda row: row["peak_anonymous_mib"],
        columns={
            "measured": measured_at,
            "file": lambda row: row["file"],
            "GB": lambda row: f"{row['file_gb']:g}",
            "rows": lambda row: f"{row['rows']:,}",
            "limit MiB": lambda row: f"{row['limit_mib']:,}",
            "asked for MiB": lambda row: f"{row['peak_data_mib']:,}",
            "anonymous MiB": lambda row: f"{row['peak_anonymous_mib']:,}",
            "of these before the job": lambda row: f"{row['before_job_mib']:,}",
            "accuracy, of the last candidate": lambda row: (
                f"{row['metric_before']:.3f} → {row['metric_after']:.3f}"
            ),
            "seconds, with the writing": lambda row: f"{row['seconds']:,}",
        },
    ),
    Section(
        name="certificate",
        title="Models that are handed back as within the floor, and are truly worse",
        command="python -m benchmarks.certificate",
        goal="at most 5 % at 95 % confidence, over 200 splits, but for chance: 9 % in one row of 200 splits and 6.7 % "
        "in one of 1,000 are its 99th percentiles. In per cent of the splits: certified · uncorrected · measured drop "
        "alone; nodes in per cent of the baseline's, geometric mean, 100 where nothing is handed back. Worst case: a "
        "candidate is worse than the floor by 1e-9. Rows of the part asymptotic test that candidate alone.",
        badness=lambda row: row["rules"]["certified"]["worse"],
        summary=_floor_summary,
        columns={
            "measured": measured_at,
            "part": lambda row: str(row["part"]),
            "data": lambda row: str(row["data"]),
            "metric": lambda row: str(row["metric"]),
            "held out": lambda row: f"{row['held_out']:,}",
            "floor": lambda row: f"{row['floor']:.4g}",
            "worst case": lambda row: "yes" if row["worst_case"] else "",
            "splits": lambda row: f"{row['splits']:,}",
            "worse": _by_rule("worse"),
            "handed back": _by_rule("returned"),
            "nodes left": _by_rule("nodes"),
        },
    ),
    Section(
        name="seen_rows_drops",
        title="Jobs on rows that the original was trained on, and said to be",
        command="python -m benchmarks.seen_rows --parts drops",
        goal="true drops within the stated bound, and drops reported as overstated, in at least 95 %. True drops on "
        "rows that nobody saw (their number: `population`, in the rows). Of each candidate from wide to narrow: "
        "in points, true · measured against the original · rehearsed · at most, at 95 %, the allowance included.",
        badness=seen.missed,
        summary=seen.drops_in_words,
        columns={
            "measured": measured_at,
            "data": lambda row: str(row["data"]),
            "net": lambda row: str(row["style"]),
            "seed": lambda row: str(row["seed"]),
            "rows": lambda row: f"{row['rows']:,}",
            "held out": lambda row: str(row["held_out"]),
            "accuracy, seen and unseen": lambda row: (
                f"{_points(row['accuracy_seen'])} and {_points(row['accuracy_unseen'])}"
            ),
            "stand-in": lambda row: _points(row["stand_in"]),
            "allowance": lambda row: _points(row["allowance"]),
            "candidates": seen.candidates,
            "floor": lambda row: _points(row["floor"]),
            "outcome": lambda row: row["outcome"].replace("_", " "),
            "by": lambda row: str(row["decided_by"]),
            "s": lambda row: f"{row['seconds']:.0f}",
        },
    ),
    Section(
        name="seen_rows_convolutions",
        title="Convolutional nets that know their rows by heart: signs, and jobs on these rows",
        command="python -m benchmarks.seen_rows --parts convolutions",
        goal="true drops within the stated bound, and drops that are overstated reported as such, in at least 95 % of "
        "jobs that ask for half of the multiply-adds and a floor of a point; memory found where nothing is said, and "
        "none found on rows that the net never saw. The warning follows from `seen_by_original: true`; what the "
        "rehearsal says does not. Candidates from wide to narrow: in points, true · measured against the original · "
        "rehearsed · at most, at 95 %, the allowance included. Signs: the place between rows learned, 0, and never "
        "seen, 1.",
        badness=seen_convolutions.badness,
        summary=seen_convolutions.in_words,
        columns={
            "measured": measured_at,
            "data": lambda row: str(row["data"]),
            "net": lambda row: str(row["style"]),
            "batch norm": lambda row: str(row["norm"]),
            "seed": lambda row: str(row["seed"]),
            "held out": lambda row: str(row["held_out"]),
            "accuracy, seen and unseen": lambda row: (
                f"{_points(row['accuracy_own'])} and {_points(row['accuracy_unseen'])}"
            ),
            "stand-in": lambda row: _points(row["stand_in"]),
            "allowance": lambda row: _points(row["allowance"]),
            "candidates": seen.candidates,
            "outcome": lambda row: row["outcome"].replace("_", " "),
            "by": lambda row: str(row["decided_by"]),
            "2,000 seen rows": seen_convolutions.sign(0, "seen"),
            "2,000 unseen": seen_convolutions.sign(0, "unseen"),
            "400 of them seen, the first fifth": seen_convolutions.sign(1, "seen"),
            "400 unseen, the first fifth": seen_convolutions.sign(1, "unseen"),
            "s": lambda row: f"{row['seconds']:.0f}",
        },
    ),
    Section(
        name="seen_rows_signs",
        title="Is it found that the original was trained on the rows, where nobody says so?",
        command="python -m benchmarks.seen_rows --parts signs",
        goal="a sign on rows that the net saw, none on rows that it never saw. In a cell: what was found, the place "
        "between rows learned, 0, and rows never seen, 1, and the temperature that suits the answers best.",
        badness=seen.signs_wrong,
        summary=seen.signs_in_words,
        columns={
            "measured": measured_at,
            "data": lambda row: str(row["data"]),
            "chose the test": lambda row: "yes" if row["chosen_on"] else "",
            "net": lambda row: str(row["style"]),
            "seed": lambda row: str(row["seed"]),
            "rows": lambda row: f"{row['rows']:,}",
            "trained on": lambda row: f"{row['rows'] * row['times']:,}",
            "accuracy, seen and unseen": lambda row: (
                f"{_points(row['accuracy_seen'])} and {_points(row['accuracy_unseen'])}"
            ),
            "of seen rows": seen.sign("seen"),
            "of unseen rows": seen.sign("unseen"),
        },
    ),
    Section(
        name="floor_tests",
        title="Tests of an accuracy's floor: how often each passes at 95 %",
        command="python -m benchmarks.floor_tests",
        goal="where the true drop is the floor, at most 5 % of the draws, but for chance; else as many as can be. The "
        "engine uses the exact one; the normal bound stands here to show what it gets wrong.",
        badness=lambda row: row["passed"]["exact_unconditional"] if _at_the_floor(row) else 0.0,
        columns={
            "held out": lambda row: f"{row['held_out']:,}",
            "answers lost %": lambda row: f"{100 * row['lost']:g}",
            "gained %": lambda row: f"{100 * row['gained']:g}",
            "floor %": lambda row: f"{100 * row['floor']:g}",
            "true drop": lambda row: "the floor" if _at_the_floor(row) else "below it",
            "exact %": _passed("exact_unconditional"),
            "betting %": _passed("betting"),
            "Hoeffding–Bentkus %": _passed("hoeffding_bentkus"),
            "normal %": _passed("normal"),
            "draws": lambda row: f"{row['draws']:,}",
        },
    ),
    Section(
        name="fuzz_data",
        title="Damaged and changed tables and arrays",
        command="python -m benchmarks.fuzz_data",
        goal="no error that was not foreseen, and no target met with a metric that cannot move",
        badness=lambda row: row["foreign"] + row["still"],
        columns={
            "files": lambda row: f"{row['mutants']:,}",
            "seed": lambda row: str(row["seed"]),
            "read": lambda row: f"{row['read']:,}",
            "refused": lambda row: f"{row['refused']:,}",
            "not foreseen": lambda row: str(row["foreign"]),
            "whole jobs": lambda row: str(row["jobs"]),
            "met with a constant metric": lambda row: str(row["still"]),
        },
    ),
    Section(
        name="fuzz_import",
        title="Mutants of models: imported, narrowed, and run at other batches and lengths",
        command="python -m benchmarks.fuzz_import",
        goal="no error that was not foreseen, and no answer other than onnxruntime's or than that of the masked file",
        badness=fuzzing.badness,
        summary=fuzzing.sentence,
        overview=fuzzing.overview,
        columns={
            "run": lambda row: str(row.get("run", "first")),
            "first seed": lambda row: str(row["seed"]),
            "mutants": lambda row: f"{row['mutants']:,}",
            **{kind: _counted(kind) for kind in (*fuzzing.SHOWN, *fuzzing.BAD)},
            "measured": measured_at,
        },
    ),
    Section(
        name="false_certificates",
        title="Wrecked candidates: certificates that are false",
        command="python -m benchmarks.false_certificates",
        goal="0 in 500 jobs",
        most=20,
        badness=lambda row: (
            row.get("true_drop", 0) + 10.0 * bool(row.get("false"))
            if row["outcome"] == "target_met"
            else -1.0
        ),
        summary=summaries.of_certificates,
        columns={
            "answers": lambda row: row["kind"],
            "wreck": lambda row: row["wreck"],
            "rows": lambda row: f"{row['rows']:,}",
            "floor": lambda row: f"{row['max_metric_drop']:g}",
            "outcome": lambda row: row["outcome"],
            "true drop": lambda row: "" if "true_drop" not in row else f"{row['true_drop']:.3f}",
            "false": lambda row: "yes" if row.get("false") else "",
        },
    ),
    Section(
        name="small_data",
        title="2,500 rows and a floor of one point: what is held out, handed out and shown",
        command="python -m benchmarks.small_data",
        goal="true drop: on rows that neither the original nor the job saw; target_met must keep it within 1 point",
        badness=lambda row: row["true_drop"],
        summary=summaries.of_small_data,
        columns={
            "data": lambda row: row["data"],
            "seed": lambda row: str(row["seed"]),
            "held out": lambda row: f"{row['held_out']:,}",
            "outcome": lambda row: row["outcome"],
            "multiply-adds kept %": lambda row: f"{100 * row['macs_kept']:.0f}",
            "measured drop, points": lambda row: _points(row["drop"]),
            "shown at 95 %, points": lambda row: _points(row["bound"]),
            "true drop, points": lambda row: _points(row["true_drop"]),
            "true rows": lambda row: f"{row['true_rows']:,}",
        },
    ),
    Section(
        name="input_relevance",
        title="Input relevance against its peers, by deletion curves",
        command="python -m benchmarks.input_relevance.run",
        goal=(
            "at least as good as the best of the others on average. Areas under curves of the metric, 1 is the whole "
            "model's and 0 that of the training means alone: `removed` takes the most relevant features first, `kept` "
            "leaves the most relevant alone, `retrained` trains new nets on these alone. In a cell: ours, best other."
        ),
        badness=relevance.behind,
        summary=relevance.in_words,
        overview=relevance.by_method,
        columns={
            "measured": measured_at,
            "data": lambda row: str(row["data"]),
            "seed": lambda row: str(row["seed"]),
            "features": lambda row: str(row["features"]),
            "model": lambda row: f"{row['model']:.3f}",
            "removed ↓": relevance.beside_best("removed"),
            "kept ↑": relevance.beside_best("kept"),
            "retrained ↑": relevance.beside_best("retrained"),
        },
    ),
    Section(
        name="sparcs",
        title="SPARCS's search against our default and small nets from scratch, at the parameters that ours leaves",
        command="python -m benchmarks.sparcs.run",
        goal="a lower test error than ours in most cells would earn it a place in the engine. In per cent (regression: "
        "1 − R²); skips are counted. SPARCS trains under ‖λ‖ from fresh weights, is cut by abs(λ) and fine-tuned: the "
        "same epochs as ours; the longer one gets those of the starting model too. Its net from scratch has the same "
        "widths and skips, without the search.",
        badness=sparcs.badness,
        summary=sparcs.in_words,
        overview=sparcs.by_cell,
        columns={
            "measured": measured_at,
            "setting": lambda row: str(row["setting"]),
            "seed": lambda row: str(row["seed"]),
            "method": lambda row: str(row["method"]),
            "nodes ours keeps": lambda row: f"{row['level']:.0%}",
            "test": lambda row: _points(row["test"]),
            "parameters": lambda row: f"{row['params']:,}",
            "multiply-adds": lambda row: f"{row['macs']:,}" if "macs" in row else "",
            "widths": lambda row: "-".join(map(str, row.get("widths", []))),
            "option": lambda row: ", ".join(str(v) for v in row.get("option", {}).values()),
            "nodes with abs(λ) over 0.001": lambda row: "-".join(map(str, row.get("alive", []))),
        },
    ),
    Section(
        name="sparcs_spectra",
        title="SPARCS's regulariser alone: what it takes away and at what price",
        command="python -m benchmarks.sparcs.spectra",
        goal="nodes or whole layers below abs(λ) = 0.001 that cost nothing when they go. Errors on validation rows; "
        "nothing is trained after trimming.",
        badness=lambda row: row["trimmed"] - row["whole"],
        columns={
            "measured": measured_at,
            "setting": lambda row: str(row["setting"]),
            "strength": lambda row: f"{row['strength']:g}",
            "nodes left": lambda row: "-".join(map(str, row["alive"])),
            "of": lambda row: "-".join(map(str, row["before"])),
            "largest abs(λ)": lambda row: ", ".join(f"{value:.2g}" for value in row["largest"]),
            "parameters left, skips included": lambda row: f"{row['params']:,}",
            "error %": lambda row: _points(row["whole"]),
            "after trimming %": lambda row: _points(row["trimmed"]),
        },
    ),
    Section(
        name="sparcs_toy",
        title="SPARCS's own teacher and student, 20-200-200-20: what vanishes",
        command="python -m benchmarks.sparcs.toy",
        goal="both hidden layers gone under a linear teacher, at most one left under a teacher of one hidden layer, "
        "and the same error before and after. 1 − R² on fresh rows; nothing is trained after trimming.",
        badness=lambda row: row["trimmed"],
        columns={
            "measured": measured_at,
            "teacher": lambda row: str(row["teacher"]),
            "strength": lambda row: f"{row['strength']:g}",
            "seed": lambda row: str(row["seed"]),
            "nodes left": lambda row: "-".join(map(str, row["nodes"])),
            "largest abs(λ)": lambda row: ", ".join(f"{value:.2g}" for value in row["largest"]),
            "parameters": lambda row: _change(row["params"]),
            "1 − R² before": lambda row: f"{row['whole']:.2e}",
            "after trimming": lambda row: f"{row['trimmed']:.2e}",
        },
    ),
    Section(
        name="start_up",
        title="Start-up: processor time of importing, in ms",
        command="python -m benchmarks.start_up",
        goal="`eigenpress --help` under 150 ms, the API under 1,800 ms, what `compress` needs at most 1.2 times torch "
        "and onnxruntime. Medians, least in brackets; the cases take turns.",
        badness=lambda row: row["compress_ratio"],
        columns={
            "measured": measured_at,
            "load on cores": lambda row: f"{row['load']:.1f} on {row['cores']}",
            "bare Python": _start_up("python"),
            "`--help`": _start_up("help"),
            "fastapi and sqlalchemy alone": _start_up("fastapi_sqlalchemy"),
            "the API": _start_up("api"),
            "torch and onnxruntime alone": _start_up("torch_onnxruntime"),
            "`compress`": _start_up("compress"),
            "`compress` by these": lambda row: f"{row['compress_ratio']:.2f}",
        },
    ),
    Section(
        name="real_files",
        title="Files that nobody here made: imported, analysed, narrowed",
        command="python -m benchmarks.real_files FOLDER --run now [--rival --rival-python PYTHON]",
        goal="95 % narrowed of what is not quantized, none broken, and none that onnxsim narrows and we do not. Half "
        "of the nodes that can go are cut, those of the smallest weights; narrowed means that masked and cut agree in "
        "onnxruntime at every batch and length at which the original runs. Of onnxsim only the shapes of answers are "
        "asked for.",
        badness=real_files.badness,
        overview=real_files.by_run,
        most=30,
        columns={
            "measured": measured_at,
            "run": lambda row: str(row["run"]),
            "tool": lambda row: str(row["tool"]),
            "file": lambda row: str(row["file"]),
            "narrowed": lambda row: "yes" if row["narrowed"] else "no",
            "ceiling": lambda row: _plain(row.get("ceiling")),
            "why": lambda row: str(row["why"])[:120],
        },
    ),
]
