"""ONNX's own backend cases, run through the importer: each passes or is refused by name.

`python -m tests.support.backend_suite --write` writes the table of docs/operators.md; a test compares it.
"""

from __future__ import annotations

import argparse
import collections
import functools
import re
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.loader import load_model_tests

from spectral_engine.errors import EngineError, Internal
from spectral_engine.graph.loading import load
from spectral_engine.graph.operators import supported_operators
from spectral_engine.graph.placement import bring

SECONDS_PER_CASE = 20
CPU = torch.device("cpu")
TABLE = Path(__file__).parents[2] / "docs" / "operators.md"
DOMAINS = ("", "com.microsoft", "ai.onnx.ml")  # tests register operators of other domains
KINDS = ("simple", "pytorch-converted", "pytorch-operator")


@dataclass(frozen=True, eq=False)
class Case:
    """One model with its inputs and the outputs that ONNX expects of it."""

    name: str
    operator: str
    model: onnx.ModelProto
    data: tuple[tuple[list, list], ...]
    rtol: float
    atol: float


@dataclass(frozen=True)
class Outcome:
    """What became of a case: `passed`, `refused`, `wrong`, or `crashed` (an exception that is not ours, or a hang)."""

    case: Case
    verdict: str
    reason: str = ""


@functools.cache
def cases() -> tuple[Case, ...]:
    """Return all cases of the installed onnx package, node cases first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (*_node_cases(), *_model_cases())


def _node_cases() -> Iterator[Case]:
    test_cases = collect_testcases(None)
    operators = {
        case.name: case.model.graph.node[0].op_type
        for case in test_cases
        if len(case.model.graph.node) == 1
    }
    for case in test_cases:
        base = case.name.partition("_expanded")[0]
        operator = operators.get(base) or operators.get(case.name) or _commonest(case.model)
        data = tuple((list(given), list(wanted)) for given, wanted in case.data_sets)
        yield Case(case.name, operator, case.model, data, case.rtol, case.atol)


def _commonest(model: onnx.ModelProto) -> str:
    counted = collections.Counter(node.op_type for node in model.graph.node)
    counted.pop("Constant", None)
    return counted.most_common(1)[0][0]


def _model_cases() -> Iterator[Case]:
    for kind in KINDS:
        for case in load_model_tests(kind=kind):
            folder = Path(case.model_dir)
            model = onnx.load(folder / "model.onnx")
            data = tuple(
                (
                    _read(data_folder, "input", model.graph.input),
                    _read(data_folder, "output", model.graph.output),
                )
                for data_folder in sorted(folder.glob("test_data_set_*"))
            )
            yield Case(case.name, _commonest(model), model, data, case.rtol, case.atol)


def _read(folder: Path, side: str, values: object) -> list:
    contents = []
    for position, value in enumerate(values):
        path = folder / f"{side}_{position}.pb"
        if path.exists():
            kind = value.type.WhichOneof("value")
            proto = {
                "tensor_type": onnx.TensorProto,
                "sequence_type": onnx.SequenceProto,
                "optional_type": onnx.OptionalProto,
            }[kind]()
            proto.ParseFromString(path.read_bytes())
            contents.append(_plain(proto))
    return contents


def _plain(value: object) -> object:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, onnx.SequenceProto):
        return numpy_helper.to_list(value)
    if isinstance(value, onnx.OptionalProto):
        return numpy_helper.to_optional(value)
    return value


def judge(case: Case, device: torch.device = CPU) -> Outcome:
    """Import and run one case, with model and inputs on a device."""
    try:
        with _limit(SECONDS_PER_CASE), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = load(case.model.SerializeToString()).to(device)
            for value in case.model.graph.output:
                if value.name not in module.output_names:
                    return Outcome(case, "refused", f"{value.name!r} is kept beside the answers")
            for given, wanted in case.data:
                outputs = _run(module, case, given, device)
                problem = _difference(case, outputs, wanted)
                if problem:
                    return Outcome(case, "wrong", problem)
    except Internal as error:  # nobody foresaw it, so it is a bug
        return Outcome(case, "crashed", error.detail)
    except EngineError as error:
        return Outcome(case, "refused", error.detail)
    except Exception as error:  # whatever else escapes is a bug, and is shown as one
        return Outcome(case, "crashed", f"{type(error).__name__}: {error}")
    return Outcome(case, "passed")


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"ran for more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _run(module: object, case: Case, given: list, device: torch.device) -> list:
    inputs = {name: bring(value, device) for name, value in named(case, given).items()}
    with torch.no_grad():
        outputs = module(**inputs)
    return [bring(outputs[value.name], CPU) for value in case.model.graph.output]


def fails_in_half(case: Case, device: torch.device = CPU) -> str:
    """Run a case whose first input comes in bfloat16, as a layer before it gives it; return what is raised."""
    first, *_ = case.data
    inputs = {name: bring(value, device) for name, value in named(case, first[0]).items()}
    name = next(iter(inputs), "")
    value = inputs.get(name)
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float32 or value.dim() < 2:
        return ""
    module = load(case.model.SerializeToString()).to(device)
    values = {**module.plan.known, **dict(module.named_parameters()), **inputs}
    values[name] = value.to(torch.bfloat16)
    try:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            module.plan.run(values, module.output_names, device=value.device)
    except EngineError as error:
        return error.detail
    return ""


def named(case: Case, given: list) -> dict[str, object]:
    """Return a case's inputs by name."""
    initializers = {tensor.name for tensor in case.model.graph.initializer}
    names = [value.name for value in case.model.graph.input if value.name not in initializers]
    return {name: as_value(value) for name, value in zip(names, given, strict=False)}


def as_value(value: object) -> object:
    value = _plain(value)
    if value is None:
        return None
    if isinstance(value, list):
        return [as_value(entry) for entry in value]
    array = np.asarray(value)
    if array.dtype.kind in "fiub":
        return torch.from_numpy(array.copy())
    return torch.from_numpy(array.astype(np.float32))  # bfloat16 and the like, of ml_dtypes


def _difference(case: Case, outputs: list, wanted: list) -> str:
    """Return what is wrong with the outputs, or nothing."""
    for position, (is_, should) in enumerate(zip(outputs, wanted, strict=True)):
        problem = _value_difference(case, is_, _plain(should))
        if problem:
            return f"output {position}: {problem}"
    return ""


def _value_difference(case: Case, output: object, wanted: object) -> str:
    if not isinstance(output, torch.Tensor) or isinstance(wanted, list) or wanted is None:
        return f"{type(output).__name__} for {type(wanted).__name__}"
    array, expected = output.numpy(), np.asarray(wanted)
    if array.shape != expected.shape:
        return f"shape {array.shape} for {expected.shape}"
    if not _type_fits(array.dtype, expected.dtype):
        return f"type {array.dtype} for {expected.dtype}"
    loose = {"float16": 1e-3, "bfloat16": 1e-2}.get(str(expected.dtype), 0.0)
    try:
        np.testing.assert_allclose(
            array.astype(np.float64),
            expected.astype(np.float64),
            rtol=max(case.rtol, loose),
            atol=max(case.atol, loose, _noise(expected)),
        )
    except AssertionError as error:
        return " ".join(str(error).split())[:200]
    return ""


def _noise(expected: np.ndarray) -> float:
    """One rounding of the largest number in single precision: a zero may come out as that."""
    size = np.abs(expected[np.isfinite(expected)].astype(np.float64))
    return max(1e-7, 2.0**-23 * float(size.max(initial=0.0)))


def _type_fits(actual: np.dtype, expected: np.dtype) -> bool:
    """Models in half precision compute, and answer, in single."""
    if str(expected) in {"float16", "bfloat16"}:
        return actual == np.float32
    return actual == expected


@functools.cache
def outcome_of(case: Case) -> Outcome:
    """Return what became of a case on the CPU; run once per process."""
    torch.manual_seed(0)
    return judge(case)


def outcomes() -> tuple[Outcome, ...]:
    """Return what became of every case."""
    return tuple(map(outcome_of, cases()))


def table() -> str:
    """Return docs/operators.md as the cases make it."""
    counted = collections.Counter(outcome.verdict for outcome in outcomes())
    by_operator = collections.defaultdict(list)
    for outcome in outcomes():
        by_operator[outcome.case.operator].append(outcome)
    supported = [(domain, name) for domain, name in supported_operators() if domain in DOMAINS]
    contrib = sorted(name for domain, name in supported if domain == "com.microsoft")
    classical = sorted(name for domain, name in supported if domain == "ai.onnx.ml")
    rows = [_row(operator, by_operator[operator]) for operator in sorted(by_operator)]
    unseen = sorted(name for domain, name in supported if not domain and name not in by_operator)
    return "\n".join(
        [
            "# Operators",
            "",
            "Made by `python -m tests.support.backend_suite --write`, which runs ONNX's own backend cases",
            f"(onnx {version('onnx')}) through the importer; a test fails where this page and a run differ.",
            "",
            f"**{len(outcomes()):,} cases: {counted['passed']:,} passed, {counted['refused']:,} refused by name, "
            f"{counted['wrong']} wrong, {counted['crashed']} crashed.** "
            f"{len(supported)} operators are supported: {len(supported) - len(contrib) - len(classical)} of the "
            f"default domain, {len(contrib)} of com.microsoft and {len(classical)} of ai.onnx.ml.",
            "",
            "Models of opset 7 and later are imported. Values of float16 and bfloat16 are computed in float32.",
            "",
            "| operator | opsets seen | passed | refused | reason of refusal |",
            "|---|---|---:|---:|---|",
            *rows,
            "",
            f"Supported, and seen by no case of their own: {', '.join(unseen)}.",
            "",
            f"Supported of com.microsoft: {', '.join(contrib)}.",
            "",
            f"Supported of ai.onnx.ml: {', '.join(classical)}. Others of its operators are kept as they are where no "
            "answer in floats depends on them, as ZipMap and LabelEncoder.",
            "",
            "An operator of which nothing is said here, and on which all answers in floats depend, is computed by "
            "onnxruntime: no gradient passes it, what it touches stays, and the report says what was not trained.",
            "",
        ]
    )


def _row(operator: str, of_operator: list[Outcome]) -> str:
    opsets = sorted(
        {entry.version for outcome in of_operator for entry in outcome.case.model.opset_import}
    )
    counted = collections.Counter(outcome.verdict for outcome in of_operator)
    reasons = dict.fromkeys(_reason(o.reason) for o in of_operator if o.verdict == "refused")
    seen = ", ".join(map(str, opsets))
    return f"| {operator} | {seen} | {counted['passed']} | {counted['refused']} | {'; '.join(sorted(reasons))} |"


def _reason(detail: str) -> str:
    """Return why a case was refused, without the names of its nodes and values."""
    detail = re.sub(r"^node '[^']*': ", "", detail)
    detail = re.sub(r"^((?:in|out)put )?'[^']*' (holds|is)", r"a value \2", detail)
    return re.sub(r" \(opset \d+\)", "", detail)


def main() -> None:
    """Print the verdicts, or write the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="write docs/operators.md")
    arguments.add_argument("--show", default="wrong,crashed", help="verdicts to list")
    arguments.add_argument("--match", default="", help="only cases whose name holds this")
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    if chosen.write:
        TABLE.write_text(table())
    begun = time.monotonic()
    judged = (
        tuple(judge(case) for case in cases() if chosen.match in case.name)
        if chosen.match
        else outcomes()
    )
    for outcome in judged:
        if outcome.verdict in chosen.show.split(","):
            print(
                f"{outcome.verdict}\t{outcome.case.operator}\t{outcome.case.name}\t{outcome.reason[:220]}"
            )
    counted = collections.Counter(outcome.verdict for outcome in judged)
    print(
        f"{len(judged)} cases in {time.monotonic() - begun:.0f} s: {dict(counted)}", file=sys.stderr
    )


if __name__ == "__main__":
    main()
