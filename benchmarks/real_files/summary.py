"""The files that nobody here made, as a table: one line a run and tool."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
STEPS = ("imported", "analysed", "narrowed")


def by_run(all_rows: list[Row]) -> list[list[str]]:
    """Count what became of the float files that onnxruntime runs on inputs of ours."""
    head = ["run", "tool", "float files that run", *STEPS, "broken"]
    lines = [head]
    for run, tool in dict.fromkeys((row["run"], row["tool"]) for row in all_rows):
        rows = [
            row for row in all_rows if (row["run"], row["tool"]) == (run, tool) and _counts(row)
        ]
        done = [str(sum(row[step] for row in rows)) if _says(tool, step) else "" for step in STEPS]
        broken = str(sum(row.get("broken", False) for row in rows))
        lines.append([run, tool, str(len(rows)), *done, broken])
    return lines


def _counts(row: Row) -> bool:
    return bool(row.get("feeds")) and not row.get("quantized")


def _says(tool: str, step: str) -> bool:
    return tool == "eigenpress" or step == "narrowed"


def badness(row: Row) -> float:
    """Put what was not narrowed first, and what is not of floats behind it."""
    return float(not row["narrowed"]) + float(_counts(row)) + float(row["tool"] == "eigenpress")
