"""Files that nobody here made: which are imported, analysed and narrowed, and what keeps the others.

    python -m benchmarks.real_files FOLDER [--run NAME] [--rival --rival-python PYTHON] [--only WORD]

One row for each .onnx file; a run of the same name goes on where it was stopped. Each file has a process of its own,
with limits of time and memory. `--rival` asks the same of `onnxsim.pruning`: narrowed means fewer weights, and the
shapes of all answers kept at every batch and length at which the original runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import signal
import subprocess
import sys
import tempfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks import rows
from benchmarks.real_files.feeds import answers, feeds_of, open_quietly

NAME = "real_files"
SECONDS = 240  # of processor time, so that a loaded machine makes no failure
ASLEEP = 5  # times as long may pass
MEMORY = 14 * 2**30
RIVAL = Path(__file__).with_name("rival.py")
Row = dict[str, Any]


def main() -> None:
    """Run, or go on with, one run over a folder."""
    arguments = parse()
    if arguments.one:
        print(json.dumps(examine(Path(arguments.folder), arguments.rival_python)))
        return
    tool = "onnxsim" if arguments.rival else "eigenpress"
    done = {(row["run"], row["tool"], row["sha256"]) for row in rows.read(NAME)}
    for path in sorted(Path(arguments.folder).glob("*.onnx")):
        key = hashlib.sha256(path.read_bytes()).hexdigest()
        if arguments.only not in path.stem or (arguments.run, tool, key) in done:
            continue
        row = {"run": arguments.run, "tool": tool, "file": path.stem, "sha256": key}
        row |= in_child(path, arguments.rival_python if arguments.rival else None)
        rows.append(NAME, row)
        print(f"{path.stem}: {'narrowed' if row['narrowed'] else row['why']}", flush=True)


def parse() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder")
    parser.add_argument("--run", default="now", help="rows of other runs stay beside these")
    parser.add_argument("--rival", action="store_true")
    parser.add_argument("--rival-python", help="an interpreter that has onnxsim")
    parser.add_argument("--only", default="", help="a part of the files' names")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def in_child(path: Path, rival: str | None) -> Row:
    """Examine one file in a process that may die."""
    command = [sys.executable, "-m", "benchmarks.real_files", str(path), "--one"]
    command += ["--rival-python", rival] if rival else []
    nothing: Row = {"imported": False, "analysed": False, "narrowed": False}
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=ASLEEP * SECONDS,
            preexec_fn=_limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return nothing | {"why": f"not done after {ASLEEP * SECONDS} s"}
    if ended.returncode == -signal.SIGXCPU:
        return nothing | {"why": f"not done after {SECONDS} s of processor time"}
    lines = ended.stdout.splitlines()
    if ended.returncode or not lines:
        last = (ended.stderr.splitlines() or ["without a word"])[-1]
        return nothing | {"why": f"the process died: {last[:200]}"}
    row: Row = json.loads(lines[-1])
    return nothing | row


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))


def examine(path: Path, rival: str | None) -> Row:
    """Return the row of one file."""
    source = path.read_bytes()
    try:
        feeds = feeds_of(open_quietly(source))
    except (
        Exception
    ) as error:  # the original itself does not load: not our fault, and not our merit
        return {"bytes": len(source), "why": f"onnxruntime does not load it: {error}"[:200]}
    shapes = [{name: list(value.shape) for name, value in feed.items()} for feed in feeds]
    row = {"bytes": len(source), "quantized": _quantized(source), "feeds": shapes}
    if rival:
        return row | rival_row(path, rival, feeds)
    from benchmarks.real_files.ours import examine as through_the_engine

    return row | through_the_engine(source, feeds)


def rival_row(path: Path, python: str, feeds: list[dict[str, Any]]) -> Row:
    """Return what becomes of a file in the rival's hands."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.onnx"
        command = [python, str(RIVAL), str(path), str(target)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            return {"why": f"fails: {(ended.stderr.splitlines() or ['?'])[-1][:200]}"}
        narrow = target.read_bytes()
    before, after = _params(path.read_bytes()), _params(narrow)
    row: Row = {"params": before, "params_after": after, "imported": True, "analysed": True}
    if after >= before:
        return row | {"why": "nothing goes"}
    why = _broken(path.read_bytes(), narrow, feeds)
    return row | {"narrowed": not why, "broken": bool(why), "why": why}


def _broken(source: bytes, narrow: bytes, feeds: list[dict[str, Any]]) -> str:
    """Say where the narrow file does not answer in the original's shapes."""
    try:
        wide, session = open_quietly(source), open_quietly(narrow)
        for feed in feeds:
            pairs = zip(answers(wide, feed), answers(session, feed), strict=True)
            if any(np.shape(one) != np.shape(other) for one, other in pairs):
                return "broken: an answer has another shape"
    except Exception as error:  # onnxruntime has many
        return f"broken: {' '.join(str(error).split())[:200]}"
    return ""


def _params(source: bytes) -> int:
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    graph = onnx.load_from_string(source).graph
    tensors = [
        *graph.initializer,
        *(a.t for n in graph.node for a in n.attribute if a.HasField("t")),
    ]
    return sum(prod(tensor.dims) for tensor in tensors if tensor.data_type in floats)


def _quantized(source: bytes) -> bool:
    kinds = {node.op_type for node in onnx.load_from_string(source).graph.node}
    return any("Quantize" in kind or kind.endswith("Integer") for kind in kinds)


if __name__ == "__main__":
    main()
