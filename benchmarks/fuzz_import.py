"""Mutants of exported models, imported and run beside onnxruntime, in worker processes that may die.

    python -m benchmarks.fuzz_import [--mutants 10000] [--seed 0] [--workers 2]

Verdicts: `same` (both run, and agree), `wrong` (both run, and differ), `beyond` (they differ where single precision
overflows), `refused` (an EngineError), `stricter` (the same, but onnxruntime runs it), `alone` (only we run),
`foreign` (any other exception of ours), `hang` and `crash` (the worker is stuck in, or dies of, our part), `theirs`
(onnxruntime hangs, or kills its worker).
"""

import argparse
import collections
import io
import json
import multiprocessing
import resource
import signal
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnx import helper

from benchmarks import rows
from benchmarks.mutants import mutant
from spectral_engine.errors import EngineError, Internal
from spectral_engine.graph.loading import load
from tests.support.fuzz_bases import bases

SECONDS = 10
MEMORY = 12 * 2**30
MOST_ELEMENTS = 10**6
LARGEST = 1e18
BAD = {"wrong", "foreign", "hang", "crash"}


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant."""

    base: str
    seed: int
    kind: str
    detail: str = ""


def run_one(source: bytes, seed: int, tell: Any) -> tuple[str, str]:
    """Return the kind of verdict and its detail; `tell` hears whose part begins."""
    changed, done = mutant(source, seed)
    tell("ours")
    try:
        module = load(changed)
        inputs = example(module)
        with torch.no_grad():
            found = {k: v.numpy() for k, v in module(**to_torch(inputs)).items()}
    except Internal as error:
        return "foreign", f"{done}: {error}"
    except EngineError as error:
        tell("theirs")
        return refused(changed, error)
    except Exception as error:
        return "foreign", f"{done}: {type(error).__name__}: {error}"
    tell("theirs")
    try:
        expected = in_onnxruntime(changed, inputs)
    except Exception:  # onnxruntime has many; what it refuses is no yardstick
        return "alone", ""
    problem = difference(found, expected)
    if not problem:
        return "same", ""
    return "beyond" if overflows(module, inputs) else "wrong", f"{done}: {problem}"


def overflows(module: Any, inputs: dict[str, np.ndarray]) -> bool:
    """Tell whether values arise whose squares single precision cannot hold: then no answer is right."""
    inner = [name for step in module.plan.steps for name in step.node.outputs if name]
    values = module.compute(to_torch(inputs), watch=inner).values()
    floats = [v for v in values if isinstance(v, torch.Tensor) and v.is_floating_point()]
    return any(not bool((v.abs() < LARGEST).all()) for v in floats)


def refused(changed: bytes, error: EngineError) -> tuple[str, str]:
    """Tell apart what onnxruntime runs all the same."""
    try:
        session = onnxruntime.InferenceSession(changed, quiet())
        inputs = {value.name: filled(value.shape, value.type) for value in session.get_inputs()}
        session.run(None, inputs)
    except Exception:  # as above
        return "refused", ""
    return "stricter", error.detail


def filled(shape: list[Any], kind: str) -> np.ndarray:
    types = {
        "tensor(float)": np.float32,
        "tensor(double)": np.float64,
        "tensor(float16)": np.float16,
    }
    sizes = [dim if isinstance(dim, int) else 2 for dim in shape]
    return np.ones(sizes, types.get(kind, np.dtype(kind.removeprefix("tensor(").rstrip(")"))))


def example(module: Any) -> dict[str, np.ndarray]:
    """Return random inputs in the shapes that the file declares; any size is 2 where it declares none."""
    random = np.random.default_rng(0)
    inputs = {}
    for value in module.model.graph.inputs:
        if value.shape is None or value.dtype is None:
            raise EngineError("an input declares no shape or type")
        sizes = [dim if isinstance(dim, int) else 2 for dim in value.shape]
        if np.prod([float(n) for n in sizes]) > MOST_ELEMENTS:
            raise EngineError("an input is too large to be tried")
        kind = helper.tensor_dtype_to_np_dtype(int(value.dtype))
        array = random.standard_normal(sizes)
        inputs[value.name] = (array if kind.kind == "f" else np.abs(array * 2)).astype(kind)
    return inputs


def to_torch(inputs: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(value)) for name, value in inputs.items()}


def quiet() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def in_onnxruntime(model: bytes, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model, quiet())
    asked = {value.name for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    found = session.run(None, {name: value for name, value in inputs.items() if name in asked})
    return dict(zip(names, found, strict=True))


def difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> str:
    for name, wanted in expected.items():
        is_ = found[name]
        if is_.shape != wanted.shape:
            return f"{name}: shape {is_.shape} for {wanted.shape}"
        half = str(wanted.dtype) == "float16"
        if is_.dtype != (np.dtype(np.float32) if half else wanted.dtype):
            return f"{name}: type {is_.dtype} for {wanted.dtype}"
        problem = number_difference(is_.astype(np.float64), wanted.astype(np.float64), half)
        if problem:
            return f"{name}: {problem}"
    return ""


def number_difference(found: np.ndarray, wanted: np.ndarray, half: bool) -> str:
    """Compare to a share of the largest number: the order of summation is not ours to say."""
    size = np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0)
    near = np.isclose(
        found, wanted, rtol=1e-3, atol=(1e-2 if half else 1e-4) * size, equal_nan=True
    )
    return "" if near.all() else f"{int((~near).sum())} of {near.size} numbers differ"


def work(inbox: Connection, sources: dict[str, bytes]) -> None:
    """Take (base, seed) until there is none; answer whose part begins, then the verdict."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = io.StringIO()  # onnxruntime prints about names that are not UTF-8
    while (task := inbox.recv()) is not None:
        base, seed = task
        kind, detail = run_one(sources[base], seed, lambda part: inbox.send((part, "")))
        inbox.send((kind, detail))


class Worker:
    """A process that is started again when it dies or gets stuck."""

    def __init__(self, sources: dict[str, bytes]) -> None:
        self.sources = sources
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["torch", "onnxruntime", "benchmarks.fuzz_import"])
        self.start()

    def start(self) -> None:
        self.pipe, theirs = self.context.Pipe()
        self.process = self.context.Process(target=work, args=(theirs, self.sources), daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, base: str, seed: int) -> None:
        self.pipe.send((base, seed))

    def finish(self, base: str, seed: int) -> Verdict:
        """Wait for the verdict, at most SECONDS for each part."""
        part = "ours"
        while True:
            try:
                if not self.pipe.poll(SECONDS):
                    self.stop()
                    self.start()
                    return Verdict(base, seed, "hang" if part == "ours" else "theirs")
                kind, detail = self.pipe.recv()
            except (EOFError, ConnectionResetError):
                self.process.join()
                code = self.process.exitcode
                self.start()
                return Verdict(base, seed, "crash" if part == "ours" else "theirs", f"exit {code}")
            if kind not in {"ours", "theirs"}:
                return Verdict(base, seed, kind, detail)
            part = kind

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def fuzz(sources: dict[str, bytes], seeds: range, workers: int = 1) -> Iterator[Verdict]:
    """Yield a verdict for every seed; the bases take turns."""
    names = list(sources)
    crew = [Worker(sources) for _ in range(workers)]
    tasks = [(names[seed % len(names)], seed) for seed in seeds]
    for start in range(0, len(tasks), workers):
        batch = list(zip(crew, tasks[start : start + workers], strict=False))
        for worker, task in batch:
            worker.begin(*task)
        for worker, task in batch:
            yield worker.finish(*task)
    for worker in crew:
        worker.pipe.send(None)
        worker.process.join()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mutants", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--show", default="", help="verdicts to list besides the bad ones")
    arguments.add_argument("--dry", action="store_true", help="write no row")
    chosen = arguments.parse_args()
    counted: collections.Counter[str] = collections.Counter()
    sources = bases()
    for verdict in fuzz(sources, range(chosen.seed, chosen.seed + chosen.mutants), chosen.workers):
        counted[verdict.kind] += 1
        if verdict.kind in BAD | {*chosen.show.split(",")}:
            print(json.dumps(vars(verdict)), flush=True)
    row = {
        "mutants": chosen.mutants,
        "seed": chosen.seed,
        "bases": list(sources),
        **{
            kind: counted[kind]
            for kind in ("same", "refused", "stricter", "alone", "beyond", "theirs", *sorted(BAD))
        },
    }
    print(row, file=sys.stderr)
    if not chosen.dry:
        rows.append("fuzz_import", row)


if __name__ == "__main__":
    main()
