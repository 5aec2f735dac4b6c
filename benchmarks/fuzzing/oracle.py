"""What becomes of one mutant: imported and run beside onnxruntime, then narrowed at random and run beside its mask."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf.message import DecodeError
from onnx import helper

from benchmarks.feeding import Feed
from benchmarks.fuzzing.agreement import apart, as_tensors, overflows, tolerance_of
from benchmarks.fuzzing.feeds import MOST_ELEMENTS, feeds_of, quiet, symbols_of
from benchmarks.fuzzing.narrowing import narrowed
from benchmarks.mutants import mutant
from spectral_engine.errors import EngineError, Internal
from spectral_engine.graph.loading import load
from spectral_engine.graph.module import OnnxModule

Verdict = tuple[str, str]  # its kind, and details
Tell = Callable[
    [str, Sequence[str]], None
]  # hears whose part begins, and what was done to the mutant


@dataclass(frozen=True)
class Base:
    """A model to make mutants of, and what its inputs are called and how many axes they have."""

    source: bytes
    symbols: Mapping[str, Sequence[str]]
    ranks: Mapping[str, int]

    @classmethod
    def of(cls, source: bytes) -> Base:
        """Return what is known of a model that onnxruntime runs."""
        inputs = onnxruntime.InferenceSession(source, quiet(optimized=False)).get_inputs()
        return cls(source, symbols_of(inputs), {one.name: len(one.shape) for one in inputs})


def run_one(base: Base, seed: int, tell: Tell) -> Verdict:
    """Return the kind of verdict and its details; `tell` hears whose part begins."""
    changed, done = mutant(base.source, seed)
    tell("theirs", done)
    session = _opened(changed)
    feeds = [] if session is None else feeds_of(session, base.symbols, base.ranks, seed)
    tell("ours", done)
    try:
        module = load(changed)
        return _alike(changed, module, feeds, seed, lambda part: tell(part, done))
    except EngineError as error:
        return _refusal(changed, error, feeds)
    except Exception as error:
        return "foreign", _traceback(error)


def _alike(
    changed: bytes,
    module: OnnxModule,
    feeds: Sequence[Feed],
    seed: int,
    tell: Callable[[str], None],
) -> Verdict:
    """Compare the module with onnxruntime, then what is cut with what is masked."""
    inputs = feeds or [_example(module)]
    ran, refusal = _answers(module, inputs)
    if refusal is not None and not ran:
        raise refusal
    tell("theirs")
    expected = _expected(changed, module, feeds)
    pairs = [(ran[at], expected[at]) for at in sorted(ran) if at in expected]
    problem = _first_problem(pairs, tolerance_of(changed))
    if problem:
        clear = not any(overflows(module, feed) for feed in feeds)
        return ("wrong" if clear else "beyond"), problem
    if refusal is not None and feeds:
        return "partly", refusal.detail
    tell("ours")
    kind, detail = narrowed(changed, module, feeds, seed, tell)
    return ("alone" if kind in {"same", "cut"} and not expected else kind), detail


def _answers(
    module: OnnxModule, feeds: Sequence[Feed]
) -> tuple[dict[int, dict[str, Any]], EngineError | None]:
    """Return what the module answers to each feed that it takes, and why it does not take one of the others."""
    by_feed, refusal = {}, None
    for at, feed in enumerate(feeds):
        try:
            with torch.no_grad():
                answers = module(**as_tensors(feed))
        except Internal:
            raise
        except EngineError as error:
            refusal = error
        else:
            by_feed[at] = {name: value.detach().numpy() for name, value in answers.items()}
    return by_feed, refusal


def _expected(
    changed: bytes, module: OnnxModule, feeds: Sequence[Feed]
) -> dict[int, dict[str, Any]]:
    """Return what onnxruntime answers, also of values behind the outputs that the module answers in their place."""
    if not feeds:
        return {}
    model = onnx.load_from_string(changed)
    known = {value.name for value in model.graph.output}
    hidden = [name for name in module.output_names if name not in known]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in hidden)
    session = _opened(model.SerializeToString())
    if session is None:
        return {}
    names = [value.name for value in session.get_outputs()]
    return {
        at: dict(zip(names, session.run(None, feed), strict=True)) for at, feed in enumerate(feeds)
    }


def _first_problem(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], tolerance: float) -> str:
    for computed, expected in pairs:
        for name, value in computed.items():
            wanted = expected[name]
            half = str(wanted.dtype) == "float16"
            kind = np.dtype(np.float32) if half else wanted.dtype
            if value.dtype != kind:
                return f"{name}: type {value.dtype} for {kind}"
            problem = apart(value, wanted, tolerance)
            if problem:
                return f"{name}: {problem}"
    return ""


def _refusal(changed: bytes, error: EngineError, feeds: Sequence[Feed]) -> Verdict:
    """Tell apart what onnxruntime runs all the same, and what does not say where the fault is."""
    if isinstance(error, Internal):
        return "foreign", error.detail
    if not says_where(error) and _is_model(changed):
        return "unnamed", error.detail
    return ("stricter" if feeds else "refused"), error.detail


def says_where(error: EngineError) -> bool:
    """Tell whether an error names a node, a value or a field."""
    if error.node is not None or error.pointer is not None:
        return True
    return any(
        mark in error.detail for mark in ("'", '"', "(", "input", "output", "opset", "version")
    )


def _is_model(changed: bytes) -> bool:
    try:
        return len(onnx.load_from_string(changed).graph.node) > 0
    except DecodeError:
        return False


def _opened(model: bytes) -> onnxruntime.InferenceSession | None:
    try:
        return onnxruntime.InferenceSession(model, quiet(optimized=False))
    except Exception:  # onnxruntime has many; what it refuses is no yardstick
        return None


def _example(module: OnnxModule) -> Feed:
    """Return random inputs in the shapes that the file declares; any size is 2 where it declares none."""
    random = np.random.default_rng(0)
    inputs: Feed = {}
    for value in module.model.graph.inputs:
        if value.shape is None or value.dtype is None:
            raise EngineError(f"input {value.name!r} declares no shape or type")
        sizes = [dim if isinstance(dim, int) else 2 for dim in value.shape]
        if np.prod([float(n) for n in sizes]) > MOST_ELEMENTS:
            raise EngineError(f"input {value.name!r} is too large to be tried")
        kind = helper.tensor_dtype_to_np_dtype(int(value.dtype))
        array = random.standard_normal(sizes)
        inputs[value.name or ""] = (array if kind.kind == "f" else np.abs(array * 2)).astype(kind)
    return inputs


def _traceback(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    way = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]} at {way}"
