"""Labels of samples: a number or a text in `.cls` or `.txt`, or a value of the object in `.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.images.listing import LABEL_HEADERS, typed
from spectral_engine.data.images.names import pointer_to
from spectral_engine.data.sample_names import LABEL_KINDS
from spectral_engine.data.shards.index import Samples, refuse_incomplete
from spectral_engine.errors import DatasetMismatch

Labels = NDArray[Any]
SHOWN = 20


def labels_of(samples: Samples, asked: str | None, notes: list[str]) -> tuple[str, Labels] | None:
    """Return what the labels are called and hold [samples, …], or None where no sample has any.

    `asked` is the kind of file, as `cls`, or a name in the `.json`. Raises DatasetMismatch by sample.
    """
    kinds = [kind for kind in LABEL_KINDS if kind in samples.kinds]
    if asked is not None and asked not in samples.kinds:
        kinds = [kind for kind in kinds if kind == "json"]
        if not kinds:
            raise DatasetMismatch(
                f"there is no .{asked} and no .json with {asked!r} beside the samples: they have "
                + ", ".join(f".{kind}" for kind in samples.kinds[:SHOWN]),
                pointer="#/label",
            )
    elif asked is not None:
        kinds = [asked]
    if not kinds:
        return None
    kind = kinds[0]
    refuse_incomplete(samples, samples.having(kind), f"label .{kind}")
    if len(kinds) > 1:
        notes.append(f"labels are those of .{kind}; .{', .'.join(kinds[1:])} is not read")
    if kind != "json":
        return kind, typed([_text(samples, row, kind) for row in range(len(samples))])
    return _of_objects(samples, None if asked == "json" else asked)


def _text(samples: Samples, row: int, kind: str) -> str:
    try:
        text = samples.read(row, kind).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _wrong(samples, row, kind, f"is no text: {error}") from error
    if not text:
        raise _wrong(samples, row, kind, "is empty")
    return text


def _of_objects(samples: Samples, asked: str | None) -> tuple[str, Labels]:
    first = _value(samples, 0)
    name = _name(first, asked) if isinstance(first, Mapping) else None
    values = [first if name is None else _named(samples, 0, first, name)]
    for row in range(1, len(samples)):
        value = _value(samples, row)
        values.append(value if name is None else _named(samples, row, value, name))
    for row, value in enumerate(values):
        if _kind_of(value) is None or _kind_of(value) != _kind_of(values[0]):
            raise _wrong(
                samples, row, "json", "holds no label that is like the others: numbers or texts"
            )
    return name or "json", np.asarray(values)


def _kind_of(value: Any) -> tuple[str, int] | None:
    """Return what labels of one kind share: texts, or numbers, one or as many in each."""
    several = value if isinstance(value, list) else [value]
    kinds = {"text" if isinstance(one, str) else "number" for one in several}
    plain = all(isinstance(one, str | int | float) for one in several)
    if not plain or len(kinds) != 1:
        return None
    return kinds.pop(), len(value) if isinstance(value, list) else -1


def _value(samples: Samples, row: int) -> Any:
    try:
        return json.loads(_text(samples, row, "json"))
    except (ValueError, RecursionError) as error:
        raise _wrong(samples, row, "json", f"is no JSON: {error}") from error


def _name(value: Mapping[str, Any], asked: str | None) -> str:
    """Return under which name an object holds the label."""
    if asked is not None:
        return asked
    usual = [name for name in LABEL_HEADERS if name in value]
    if usual or len(value) == 1:
        return (usual or [*value])[0]
    raise DatasetMismatch(
        f"the .json of a sample holds {', '.join(map(repr, [*value][:SHOWN]))}: say which is the label with "
        "--label NAME (labels.column)",
        pointer="#/label",
    )


def _named(samples: Samples, row: int, value: Any, name: str) -> Any:
    if not isinstance(value, Mapping) or name not in value:
        raise _wrong(samples, row, "json", f"has no {name!r}")
    return value[name]


def _wrong(samples: Samples, row: int, kind: str, what: str) -> DatasetMismatch:
    name = f"{samples.names[row]}.{kind}"
    return DatasetMismatch(f"{name!r} (row {row}) {what}", pointer=pointer_to(name))
