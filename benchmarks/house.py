"""The sources, counted: what makes them easy or hard to read.

    python -m benchmarks.house

Circles and upward imports are what `lint-imports` looks for. How often a job parses and opens a file is counted in
`tests/spectral_engine/test_opened_once.py`; `test_extending.py` beside it adds a method and a score without an edit.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT = ("spectral_engine", "service", "worker")
METHODS_OF_HTTP = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# The files that hold an algorithm, and are to be read like its section in a paper.
ALGORITHMS = (
    "spectral_engine/graph/coupling.py",
    "spectral_engine/graph/surgery.py",
    "spectral_engine/graph/masking.py",
    "spectral_engine/methods/run.py",
    "spectral_engine/measure/certificate.py",
)
EMPTY_NAMES = ("found", "place", "held", "own")
MOST_COMPLEX = 10


def main() -> None:
    """Print every figure with its name."""
    for name in ALGORITHMS:
        print(f"comments in {name}: {comment_share(ROOT / name):.1%} of its lines")
    names = identifiers(sources())
    print(f"names {', '.join(EMPTY_NAMES)}: {sum(names[name] for name in EMPTY_NAMES)}")
    for line in methods_told_apart(sources()):
        print(f"asks which method it is: {line}")
    for line in too_complex():
        print(f"complexity above {MOST_COMPLEX}: {line}")
    print("longest class: {1} with {0} methods".format(*longest_class(sources())))
    for package in (*PRODUCT, "tests", "benchmarks"):
        print(f"lines of {package}: {lines_of(package):,}")


def sources() -> list[Path]:
    """Return the product's files."""
    return [path for package in PRODUCT for path in sorted((ROOT / package).rglob("*.py"))]


def comment_share(path: Path) -> float:
    """Return the share of lines that hold a comment; docstrings and words to tools are none."""
    with path.open("rb") as file:
        comments = {
            token.start[0]
            for token in tokenize.tokenize(file.readline)
            if token.type == tokenize.COMMENT and not token.string.startswith(("# noqa", "# type:"))
        }
    return len(comments) / len(path.read_text().splitlines())


def identifiers(paths: Iterable[Path]) -> Counter[str]:
    """Count the names in the code; strings and comments are left out."""
    counted: Counter[str] = Counter()
    for path in paths:
        with path.open("rb") as file:
            tokens = tokenize.tokenize(file.readline)
            counted.update(token.string for token in tokens if token.type == tokenize.NAME)
    return counted


def methods_told_apart(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the lines outside of the methods' own folder that ask which method it is."""
    for path in paths:
        if path.is_relative_to(ROOT / "spectral_engine" / "methods"):
            continue
        for line in comparisons_with_a_method(path):
            yield f"{path.relative_to(ROOT)}:{line}"


def comparisons_with_a_method(path: Path) -> list[int]:
    """Return the lines in which `….method` is compared with a text."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return [
        node.lineno for node in nodes if isinstance(node, ast.Compare) and _asks_for_method(node)
    ]


def _asks_for_method(node: ast.Compare) -> bool:
    sides = [node.left, *node.comparators]
    texts = {side.value for side in sides if isinstance(side, ast.Constant)} - METHODS_OF_HTTP
    return any(isinstance(text, str) for text in texts) and any(
        isinstance(side, ast.Attribute) and side.attr == "method" for side in sides
    )


def too_complex() -> list[str]:
    """Return the functions over the limit, as ruff counts."""
    command = [sys.executable, "-m", "ruff", "check", "--select", "C901", "--output-format", "json"]
    limit = ["--config", f"lint.mccabe.max-complexity={MOST_COMPLEX}", "--exit-zero", str(ROOT)]
    told = subprocess.run([*command, *limit], capture_output=True, text=True, check=True).stdout
    return [f"{item['filename']}: {item['message']}" for item in json.loads(told)]


def longest_class(paths: Iterable[Path]) -> tuple[int, str]:
    """Return the class with the most methods: their number, its file and name."""
    return max(
        (sum(isinstance(part, ast.FunctionDef) for part in node.body), f"{path.name} {node.name}")
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )


def lines_of(package: str) -> int:
    """Return the lines of all files of a package."""
    return sum(len(path.read_text().splitlines()) for path in (ROOT / package).rglob("*.py"))


if __name__ == "__main__":
    main()
