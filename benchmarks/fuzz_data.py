"""Tables and arrays damaged and changed in random ways, and what becomes of them.

    python -m benchmarks.fuzz_data [--mutants 2000] [--seed 0]

Each is checked beside a model that knows the undamaged rows. Verdicts: `read` (understood), `refused` (an EngineError
that was foreseen), `foreign` (any other error), `still` (a job with a floor met its target although the metric of
a wrecked model is the same). Every tenth that is read goes through a whole job; a row is written for each run.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

import spectral_engine as se
from benchmarks import rows
from spectral_engine.errors import EngineError, Internal

NAME = "fuzz_data"
FEATURES, CLASSES, COUNT = 5, 3, 240
JOB_EVERY = 10
BAD = {"foreign", "still"}

Arrays = dict[str, np.ndarray]


def main() -> None:
    """Run the fuzz and write its row; ends with 1 where a verdict is bad."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdicts, bad, jobs = fuzz(Path(folder), given.mutants, given.seed)
    row = {"mutants": given.mutants, "seed": given.seed, "jobs": jobs, **verdicts, "bad": bad[:20]}
    rows.append(NAME, row)
    print(row)
    raise SystemExit(bool(bad))


def fuzz(folder: Path, mutants: int, seed: int) -> tuple[dict[str, int], list[str], int]:
    """Return how often each verdict was reached, what was bad, and how many whole jobs ran."""
    warnings.simplefilter("ignore")
    x, y = cloud()
    model = trained(x, y, folder / "net.onnx")
    wrecked = wreck(model, folder / "wrecked.onnx")
    counts: Counter[str] = Counter({"read": 0, "refused": 0, "foreign": 0, "still": 0})
    bad: list[str] = []
    jobs = 0
    for number in range(mutants):
        rng = np.random.default_rng([seed, number])
        data, done = mutant(x, y, rng, folder)
        whole = number % JOB_EVERY == 0
        verdict, detail = judge(model, wrecked, data, whole=whole)
        jobs += whole
        counts[verdict] += 1
        if verdict in BAD:
            bad.append(f"{number}: {done}: {detail}")
    return dict(counts), bad, jobs


def judge(model: Path, wrecked: Path, data: Path, *, whole: bool) -> tuple[str, str]:
    """Return the verdict of one file, and what it rests on."""
    try:
        checked = se.check(model, data)
        if whole and checked.still is None:
            recipe = {
                "target": {"max_metric_drop": 0.1, "confidence": 0.8},
                "training": {"epochs": 1},
                "prune": {"candidates": 1},
                "metric": checked.metric,
            }
            outcome = se.compress(model, data, recipe).outcome
            more = {"allow_poor_original": True, "metric": checked.metric}
            spoiled = se.check(wrecked, data, more).original
            same = spoiled.against == "labels" and spoiled.value == checked.original.value
            if outcome == "target_met" and same:
                return "still", f"{checked.metric} is {spoiled.value} of a wrecked model too"
    except Internal as error:
        return "foreign", error.detail
    except EngineError as error:
        return "refused", error.detail
    except Exception as error:
        return "foreign", f"{type(error).__name__}: {error}"
    return "read", checked.metric


def cloud() -> tuple[np.ndarray, np.ndarray]:
    """Return points [n, features] around one centre for each class."""
    rng = np.random.default_rng(0)
    centres = 2 * rng.normal(size=(CLASSES, FEATURES))
    y = np.arange(COUNT) % CLASSES
    return (centres[y] + rng.normal(size=(COUNT, FEATURES))).astype(np.float32), y


def trained(x: np.ndarray, y: np.ndarray, path: Path) -> Path:
    """Train a small perceptron and export it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimiser.step()
    names = {"input_names": ["x"], "output_names": ["logits"], "dynamo": False}
    example = (torch.from_numpy(x[:1]),)
    torch.onnx.export(net.eval(), example, str(path), dynamic_axes={"x": {0: "n"}}, **names)
    return path


def wreck(model: Path, path: Path) -> Path:
    """Write a copy whose last weights are shuffled."""
    proto = onnx.load(model)
    last = proto.graph.node[-1].input[1]
    for initializer in proto.graph.initializer:
        if initializer.name == last:
            weight = numpy_helper.to_array(initializer).copy()
            np.random.default_rng(1).shuffle(weight.reshape(-1))
            initializer.CopyFrom(numpy_helper.from_array(weight, initializer.name))
    onnx.save(proto, path)
    return path


def mutant(
    x: np.ndarray, y: np.ndarray, rng: np.random.Generator, folder: Path
) -> tuple[Path, str]:
    """Write one changed file; return it, and what was done."""
    as_table = rng.random() < 0.5
    changes = [*(TABLE if as_table else ARRAY)]
    if as_table:
        content: Any = table(x, y)
    else:
        content = {"x": x, "y": y}
    done = []
    for _ in range(int(rng.integers(1, 4))):
        change = changes[int(rng.integers(len(changes)))]
        content = change(content, rng)
        done.append(change.__name__)
    path = folder / "data"
    if as_table:
        path.write_bytes(content)
    else:
        with path.open("wb") as file:
            np.savez(file, **content)
    if rng.random() < 0.15:
        path.write_bytes(flipped(path.read_bytes(), rng))
        done.append("flipped")
    return path, ", ".join(done)


def table(x: np.ndarray, y: np.ndarray) -> bytes:
    """Return a table as a spreadsheet writes it."""
    head = ",".join([*(f"f{i}" for i in range(FEATURES)), "label"])
    lines = [
        ",".join([*(f"{v:.4f}" for v in row), str(label)]) for row, label in zip(x, y, strict=True)
    ]
    return "\n".join([head, *lines, ""]).encode()


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """Change a few bytes, or cut the rest off."""
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        if damaged:
            damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
    return bytes(damaged[: int(rng.integers(len(damaged) + 1))] if rng.random() < 0.3 else damaged)


# Changes of a table's bytes


def other_separator(content: bytes, rng: np.random.Generator) -> bytes:
    return content.replace(b",", rng.choice([b";", b"\t", b"|", b", ", b" "]))


def decimal_commas(content: bytes, rng: np.random.Generator) -> bytes:
    del rng
    return content.replace(b",", b";").replace(b".", b",")


def other_encoding(content: bytes, rng: np.random.Generator) -> bytes:
    name = str(rng.choice(["utf-16", "latin-1", "utf-8-sig", "cp1252", "utf-32"]))
    return content.decode("latin-1").replace("label", "étiquette").encode(name, "replace")


def cells_replaced(content: bytes, rng: np.random.Generator) -> bytes:
    lines = content.split(b"\n")
    odd = (
        b"",
        b"NaN",
        b"inf",
        b"-",
        b"1e999",
        b"0x1F",
        b"'5",
        b'"',
        b"1,000.5",
        "½".encode(),
        b"\0",
        b"true",
    )
    for _ in range(int(rng.integers(1, 5))):
        row = int(rng.integers(len(lines)))
        cells = lines[row].split(b",")
        cells[int(rng.integers(len(cells)))] = odd[int(rng.integers(len(odd)))]
        lines[row] = b",".join(cells)
    return b"\n".join(lines)


def column_replaced(content: bytes, rng: np.random.Generator) -> bytes:
    lines = [line.split(b",") for line in content.split(b"\n")]
    column = int(rng.integers(FEATURES + 1))
    values: Callable[[int], bytes] = (
        lambda _: b"7",
        lambda row: str(row).encode(),
        lambda row: b"abc"[row % 3 : row % 3 + 1],
        lambda row: f"2024-01-{row % 28 + 1:02}".encode(),
        lambda row: str(row % 2 == 0).encode(),
        lambda row: f"{row / 7:.3f}".encode(),
    )[int(rng.integers(6))]
    for row, cells in enumerate(lines[1:]):
        if column < len(cells):
            cells[column] = values(row)
    return b"\n".join(b",".join(cells) for cells in lines)


def lines_moved(content: bytes, rng: np.random.Generator) -> bytes:
    lines = content.split(b"\n")
    kind = int(rng.integers(5))
    if kind == 0:
        return b"\n".join(lines[1:])
    if kind == 1:
        return b"\n".join([lines[0], *lines])
    if kind == 2:
        return b"\r\n\r\n".join(lines)
    if kind == 3:
        return b"\n".join(lines[: int(rng.integers(1, 12))])
    return b"\n".join(sorted(lines))


def column_more_or_less(content: bytes, rng: np.random.Generator) -> bytes:
    lines = [line.split(b",") for line in content.split(b"\n")]
    at = int(rng.integers(FEATURES + 1))
    for row, cells in enumerate(lines):
        if rng.random() < 0.99:
            if at % 2:
                cells[at:] = cells[at + 1 :]
            else:
                cells.insert(at, str(row).encode())
    return b"\n".join(b",".join(cells) for cells in lines)


# Changes of arrays


def other_type(arrays: Arrays, rng: np.random.Generator) -> Arrays:
    name = _one(arrays, rng)
    kinds = ("f2", "f8", "i1", "i8", "u1", "u2", "?", "c8", "U8", "S4", "M8[s]", "O", ">f4")
    kind = kinds[int(rng.integers(len(kinds)))]
    with np.errstate(all="ignore"):
        try:
            return {**arrays, name: arrays[name].astype(kind)}
        except (ValueError, TypeError):
            return arrays


def other_shape(arrays: Arrays, rng: np.random.Generator) -> Arrays:
    name = _one(arrays, rng)
    array = arrays[name]
    kind = int(rng.integers(7))
    if kind == 0:
        array = array[:, None] if array.ndim else array
    elif kind == 1:
        array = array.T
    elif kind == 2:
        array = array.reshape(-1)
    elif kind == 3:
        array = array[None]
    elif kind == 4:
        array = array[: int(rng.integers(len(array) + 1))] if array.ndim else array
    elif kind == 5:
        array = np.concatenate([array, array[:7]]) if array.ndim else array
    else:
        array = np.asarray(array.reshape(-1)[0]) if array.size else array
    return {**arrays, name: array}


def other_labels(arrays: Arrays, rng: np.random.Generator) -> Arrays:
    if "y" not in arrays or arrays["y"].shape != (COUNT,) or arrays["y"].dtype.kind != "i":
        return arrays
    y = arrays["y"] % CLASSES
    forms = (
        y * 0,
        y + 1,
        y * 100 - 50,
        np.eye(CLASSES)[y],
        np.eye(CLASSES, dtype=int)[y] * 2,
        y / 2,
        np.array(["a", "b", "c"])[y],
        (y > 0).astype(float),
        np.where(rng.random(COUNT) < 0.5, -1, y),
        rng.permutation(y),
        rng.normal(size=COUNT),
        np.where(y == 1, np.nan, y),
        np.stack([y, y], axis=1),
        np.eye(CLASSES + 2)[y],
    )
    return {**arrays, "y": np.asarray(forms[int(rng.integers(len(forms)))])}


def other_values(arrays: Arrays, rng: np.random.Generator) -> Arrays:
    name = _one(arrays, rng)
    array = arrays[name]
    if array.dtype.kind != "f" or array.size == 0:
        return arrays
    changed = array.copy().reshape(-1)
    odd = (np.nan, np.inf, 1e38, 0.0, -1e30)
    changed[rng.integers(changed.size, size=int(rng.integers(1, 6)))] = odd[int(rng.integers(5))]
    return {**arrays, name: changed.reshape(array.shape) * rng.choice([1, 1, 1e-30, 0, 255])}


def other_name(arrays: Arrays, rng: np.random.Generator) -> Arrays:
    name = _one(arrays, rng)
    names = (
        "X",
        "X_train",
        "y_test",
        "labels",
        "x_val",
        "logits",
        "é",
        "a/b",
        "input",
        "data",
        "target",
    )
    kept = {key: array for key, array in arrays.items() if key != name}
    return {**kept, str(rng.choice(names)): arrays[name]}


def one_less_or_more(arrays: Arrays, rng: np.random.Generator) -> Arrays:
    if rng.random() < 0.5 and len(arrays) > 1:
        name = _one(arrays, rng)
        return {key: array for key, array in arrays.items() if key != name}
    return {**arrays, "extra": np.arange(3)}


def _one(arrays: Arrays, rng: np.random.Generator) -> str:
    return sorted(arrays)[int(rng.integers(len(arrays)))]


TABLE = (
    other_separator,
    decimal_commas,
    other_encoding,
    cells_replaced,
    column_replaced,
    lines_moved,
    column_more_or_less,
)
ARRAY = (other_type, other_shape, other_labels, other_values, other_name, one_less_or_more)


if __name__ == "__main__":
    main()
