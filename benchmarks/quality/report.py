"""Table and plots from the rows: docs/benchmarks/quality.md and its SVG files.

python -m benchmarks.quality.report [--rows quality] [--to docs/benchmarks]
"""

import argparse
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks import rows

Row = dict[str, Any]
Cell = tuple[str, float]
BAR = 0.90
CONTROL = "ours, dense form"
UNIT = {"nodes": "hidden nodes kept", "macs": "multiply-adds left", "links": "sparsity"}
NO_ERROR = 1e-4  # a mean error below this counts as this in a ratio


@dataclass(frozen=True)
class Score:
    """A method's test error in a cell over seeds."""

    mean: float
    standard_error: float
    seeds: int
    validation: float  # mean error on validation rows

    def __str__(self) -> str:
        spread = f" ± {100 * self.standard_error:.2f}" if self.seeds > 1 else ""
        return f"{100 * self.mean:.2f}{spread}"


@dataclass(frozen=True)
class Rule:
    """How the peer of a cell is picked: by its test error (`mean`) or by its `validation` error."""

    words: str
    control: bool = False  # our own dense form is among the peers
    by: Literal["mean", "validation"] = "mean"


BY_TEST = Rule("the best peer of each cell")
RULES = (
    Rule("the best peer of each cell, the dense form of our own method among them", control=True),
    BY_TEST,
    Rule("the peer that validation rows choose in each cell", by="validation"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="quality")
    parser.add_argument("--to", type=Path, default=Path("docs/benchmarks"))
    arguments = parser.parse_args()
    runs = rows.read(arguments.rows)
    arguments.to.mkdir(parents=True, exist_ok=True)
    page = arguments.to / f"{arguments.rows}.md"
    page.write_text(write_page(runs, arguments.rows))
    draw(runs, arguments.to, arguments.rows)
    print(page)


def scores_of(runs: Iterable[Row]) -> dict[Cell, dict[str, Score]]:
    """Gather rows into cells; of rows written twice the last counts."""
    latest = {(r["setting"], r["level"], r["method"], r["seed"]): r for r in runs}
    errors: dict[Cell, dict[str, list[tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for (setting, level, method, _), row in latest.items():
        if row["test"] is not None and method != "not compressed":
            errors[setting, level][method].append((row["test"], row["validation"]))
    return {
        cell: {method: _score(values) for method, values in methods.items()}
        for cell, methods in errors.items()
    }


def _score(errors: list[tuple[float, float]]) -> Score:
    test, validation = zip(*errors, strict=True)
    spread = statistics.stdev(test) / math.sqrt(len(test)) if len(test) > 1 else 0.0
    return Score(statistics.mean(test), spread, len(test), statistics.mean(validation))


def is_ours(method: str) -> bool:
    return method.startswith("ours") and method != CONTROL


def our_default(cell: dict[str, Score]) -> str | None:
    """Return the first of ours: no picking among ours after the fact."""
    return next((name for name in cell if is_ours(name)), None)


def best_peer(cell: dict[str, Score], rule: Rule) -> str | None:
    """Return the peer with the least mean error on the rows that the rule names."""
    names = [name for name in cell if not is_ours(name) and (rule.control or name != CONTROL)]
    return min(names, key=lambda name: getattr(cell[name], rule.by), default=None)


def ratio(ours: Score, peer: Score) -> float:
    return max(NO_ERROR, ours.mean) / max(NO_ERROR, peer.mean)


def is_worse(ours: Score, peer: Score) -> bool:
    """Say whether ours is worse by more than two standard errors of the difference; one seed cannot say so."""
    if min(ours.seeds, peer.seeds) < 2:
        return False
    return ours.mean - peer.mean > 2 * math.hypot(ours.standard_error, peer.standard_error)


def geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.mean(map(math.log, values))) if values else math.nan


@dataclass(frozen=True)
class Bar:
    """Our error over the best peer's: the geometric mean over cells, and the cells where ours is clearly worse."""

    mean: float
    cells: int
    worse: list[Cell]


def bar(cells: dict[Cell, dict[str, Score]], rule: Rule = BY_TEST) -> Bar:
    """Compare ours with the rule's peer in each cell that has both."""
    ratios, worse = [], []
    for name, cell in cells.items():
        mine, peer = our_default(cell), best_peer(cell, rule)
        if mine is None or peer is None:
            continue
        ratios.append(ratio(cell[mine], cell[peer]))
        if is_worse(cell[mine], cell[peer]):
            worse.append(name)
    return Bar(geometric_mean(ratios), len(ratios), worse)


def write_page(runs: list[Row], name: str) -> str:
    cells = scores_of(runs)
    lines = ["# Quality of compression", "", *_preface(runs, name), ""]
    lines += ["## All cells", "", *_verdict(cells), "", *_peers(cells), "", *_cells(cells), ""]
    kinds = {row["setting"]: row["resource"] for row in runs}
    for kind, title in (
        ("nodes", "Nodes of perceptrons"),
        ("macs", "Channels"),
        ("links", "Links"),
    ):
        part = {cell: methods for cell, methods in cells.items() if kinds[cell[0]] == kind}
        if part:
            lines += [f"## {title}", "", *_verdict(part), "", *_tables(part, runs, kind)]
    return "\n".join(lines) + "\n"


def _preface(runs: list[Row], name: str) -> list[str]:
    versions = {key: runs[-1].get(key) for key in ("torch", "torch_pruning", "onnxruntime")}
    stated = ", ".join(f"{key.replace('_', '-')} {value}" for key, value in versions.items())
    return [
        f"Made from `benchmarks/rows/{name}.jsonl` by `python -m benchmarks.quality.report --rows {name}`; {stated}.",
        "Test error in per cent (for regression 100 · (1 − R²)), mean ± standard error over seeds. Every method starts",
        "from the same trained net of its seed, sees the same rows for the same number of epochs in batches of 128, is",
        "clipped alike, and has its learning rate (and scope and strength, where the peer has them) chosen on",
        "validation rows by the first seed: along the rates to a minimum, then one knob after the other. Peers learn",
        "half from labels, half from the starting model's answers; the net from scratch also chooses whether to use",
        "those. Ours is the engine's default with that learning rate. The best peer of a cell is picked by its test",
        "error among all peers: where all are equal it is ahead by chance, and no user could pick like that. The peer",
        "that validation rows choose is what one would get by trying all. The table of single peers chooses nothing.",
    ]


def _verdict(cells: dict[Cell, dict[str, Score]]) -> list[str]:
    lines = []
    for rule in RULES:
        comparison = bar(cells, rule)
        if not comparison.cells:
            continue
        named = (
            "; ".join(f"{setting} at {level:g}" for setting, level in comparison.worse) or "none"
        )
        if all(score.seeds < 2 for cell in cells.values() for score in cell.values()):
            named = "one seed cannot say"
        lines.append(
            f"- Against {rule.words}: error ours ÷ peer {comparison.mean:.3f} (geometric mean over "
            f"{comparison.cells} cells; the bar is {BAR:.2f}). Clearly worse in: {named}."
        )
    return lines


def _peers(cells: dict[Cell, dict[str, Score]]) -> list[str]:
    """Return a table of ours against each peer over all cells that both have: no peer is picked after the fact."""
    ratios: dict[str, list[float]] = defaultdict(list)
    for cell in cells.values():
        mine = our_default(cell)
        if mine is None:
            continue
        for name in cell:
            if not is_ours(name):
                ratios[name].append(ratio(cell[mine], cell[name]))
    lines = ["| against one peer, over all its cells | cells | ours ÷ peer |", "|---|---|---|"]
    ranked = sorted(
        ((geometric_mean(values), name) for name, values in ratios.items()), reverse=True
    )
    return lines + [f"| {name} | {len(ratios[name])} | {mean:.3f} |" for mean, name in ranked]


def _cells(cells: dict[Cell, dict[str, Score]]) -> list[str]:
    """Return a table of every cell against the best peer outside of our own program, the worst first."""
    entries = []
    for (setting, level), cell in cells.items():
        mine, peer = our_default(cell), best_peer(cell, BY_TEST)
        if mine is None or peer is None:
            continue
        error_ratio = ratio(cell[mine], cell[peer])
        columns = [
            setting,
            f"{100 * level:g} %",
            str(cell[mine]),
            f"{peer} {cell[peer]}",
            str(cell.get(CONTROL, "–")),
            f"{error_ratio:.2f}",
            "yes" if is_worse(cell[mine], cell[peer]) else "",
            f"{_tied(cell)} of {len(cell)}",
        ]
        entries.append((error_ratio, "| " + " | ".join(columns) + " |"))
    ordered = [line for _, line in sorted(entries, reverse=True)]
    names = "setting | level | ours | best peer | dense form of ours | ours ÷ peer | clearly worse"
    names += " | methods not clearly worse than the best"
    return [f"| {names} |", "|---" * 8 + "|", *ordered]


def _tied(cell: dict[str, Score]) -> int:
    """Count the methods that are not clearly worse than the best of all."""
    least = min(cell.values(), key=lambda score: score.mean)
    return sum(not is_worse(score, least) for score in cell.values())


def _tables(cells: dict[Cell, dict[str, Score]], runs: list[Row], kind: str) -> list[str]:
    lines: list[str] = []
    for setting in dict.fromkeys(name for name, _ in cells):
        levels = sorted(
            {level for name, level in cells if name == setting}, reverse=kind != "links"
        )
        of_setting = {level: cells[setting, level] for level in levels}
        lines += [f"### {setting}", "", _about(setting, runs), ""]
        lines += [
            f"| {UNIT[kind]} | " + " | ".join(f"{100 * level:g} %" for level in levels) + " |",
            "|---" * (len(levels) + 1) + "|",
        ]
        methods = dict.fromkeys(method for cell in of_setting.values() for method in cell)
        for method in methods:
            shown = [_shown(of_setting[level], method) for level in levels]
            lines.append(f"| {method} | " + " | ".join(shown) + " |")
        lines += ["", f"![error against size]({_plot_name(setting)})", ""]
    return lines


def _shown(cell: dict[str, Score], method: str) -> str:
    if method not in cell:
        return "failed"
    least = min(score.mean for score in cell.values())
    text = str(cell[method])
    return f"**{text}**" if cell[method].mean == least else text


def _about(setting: str, runs: list[Row]) -> str:
    mine = [row for row in runs if row["setting"] == setting]
    whole = [100 * row["test"] for row in mine if row["method"] == "not compressed"]
    row = mine[-1]
    return (
        f"{row['data']}, net {row['net']}, {row['train_rows']:,} training rows, {row['epochs']} epochs; not compressed "
        f"{statistics.mean(whole):.2f} %."
    )


def _plot_name(setting: str) -> str:
    return f"quality-{setting}.svg"


def draw(runs: list[Row], folder: Path, name: str) -> None:
    """Draw error against level for each setting: ours, its dense form, and the best peers."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = name
    from matplotlib import pyplot

    cells = scores_of(runs)
    for setting in dict.fromkeys(name for name, _ in cells):
        levels = sorted(level for cell, level in cells if cell == setting)
        figure, axes = pyplot.subplots(figsize=(7, 4.5))
        methods = dict.fromkeys(m for level in levels for m in cells[setting, level])
        for method in methods:
            points = [(x, cells[setting, x][method]) for x in levels if method in cells[setting, x]]
            strong = is_ours(method) or method == CONTROL
            axes.errorbar(
                [x for x, _ in points],
                [100 * score.mean for _, score in points],
                [100 * score.standard_error for _, score in points],
                label=method,
                linewidth=2.5 if is_ours(method) else 1.2,
                linestyle="-" if strong else ":",
                marker="o" if strong else ".",
            )
        kind = next(row["resource"] for row in runs if row["setting"] == setting)
        if kind != "links":
            axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(UNIT[kind])
        axes.set_ylabel("test error, per cent")
        axes.set_title(setting)
        axes.legend(fontsize=6, ncols=2)
        figure.tight_layout()
        figure.savefig(folder / _plot_name(setting), metadata={"Date": None})
        pyplot.close(figure)


if __name__ == "__main__":
    main()
