"""Write benchmarks/RESULTS.md from the rows: nothing in it is written by hand.

python -m benchmarks.results            rewrite the page
python -m benchmarks.results --check    end with 1 where it is not current
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks import rows
from benchmarks.sections import SECTIONS, Section, unknown

PAGE = Path(__file__).parent / "RESULTS.md"
HEAD = """# Results

Generated from `benchmarks/rows/*.jsonl` by `python -m benchmarks.results`. Every figure has the command that gives it;
each run appends rows, none is taken out, and the bad ones stand first. All rows, whole, are in the files.
Quality against the peers has pages of its own, in [docs/benchmarks](../docs/benchmarks).
"""
OWN_PAGE = "quality"  # rows whose files begin so are shown by `benchmarks.quality.report`


def main() -> int:
    """Rewrite or check the page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true")
    text = render(rows_by_benchmark())
    if not parser.parse_args().check:
        PAGE.write_text(text, "utf-8")
        return 0
    current = PAGE.exists() and PAGE.read_text("utf-8") == text
    if not current:
        print(f"{PAGE} is not current: run `python -m benchmarks.results`", file=sys.stderr)
    return 0 if current else 1


def rows_by_benchmark() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every benchmark that has any."""
    paths = sorted(rows.FOLDER.glob("*.jsonl"))
    return {path.stem: rows.read(path.stem) for path in paths if not path.stem.startswith(OWN_PAGE)}


def render(rows_by_name: dict[str, list[dict[str, Any]]]) -> str:
    """Return the page."""
    known = {section.name for section in SECTIONS}
    others = [unknown(name, rows_by_name[name]) for name in sorted(set(rows_by_name) - known)]
    return "\n".join(
        [HEAD, *(_section(one, rows_by_name.get(one.name, [])) for one in SECTIONS + others)]
    )


def _section(section: Section, section_rows: list[dict[str, Any]]) -> str:
    parts = [f"## {section.title}", "", "```sh", section.command, "```"]
    if section.goal:
        parts += ["", f"Asked for: {section.goal}"]
    if not section_rows:
        return "\n".join([*parts, "", "No row yet.", ""])
    worst_first = sorted(section_rows, key=section.badness, reverse=True)
    if section.summary is not None:
        parts += ["", f"**{section.summary(section_rows)}**"]
    if section.overview is not None:
        parts += ["", _table(section.overview(section_rows))]
    table = _table(_cells(section, worst_first[: section.most]))
    left = len(section_rows) - (section.most or len(section_rows))
    more = [f"\nand {left:,} more in `benchmarks/rows/{section.name}.jsonl`"] if left > 0 else []
    return "\n".join([*parts, "", table, *more, ""])


def _cells(section: Section, section_rows: list[dict[str, Any]]) -> list[list[str]]:
    rows_shown = [[str(show(row)) for show in section.columns.values()] for row in section_rows]
    return [list(section.columns), *rows_shown]


def _table(cells: list[list[str]]) -> str:
    """Return Markdown of cells whose first row is the head; a bar in a cell is kept from ending it."""
    head, *others = [[cell.replace("|", "\\|") for cell in line] for line in cells]
    lines = [head, ["---"] * len(head), *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
