"""Which column of a table is the label, which are features, and which are neither: numbers of rows, names, times."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from spectral_engine.data.reading.traits import (
    has_few_values,
    has_one_value,
    is_time,
    is_unique,
    is_whole,
    is_words,
    numbers_rows,
)
from spectral_engine.errors import DatasetMismatch

USUAL_LABELS = ("label", "target", "labels", "class", "y")
# Names that features have as well: labels only where the model's count of features leaves one column for it.
LIKELY_LABELS = (
    "outcome", "category", "species", "diagnosis", "targets", "classes", "class_name", "label_name", "class_id",
    "label_id",
)  # fmt: skip
SHOWN = 20
NO_FEATURES = (
    ("numbers the rows", numbers_rows),
    ("holds times", is_time),
    ("holds another text in each row", lambda _, column: is_words(column) and is_unique(column)),
)
SUSPECT = (
    ("holds texts", lambda _, column: is_words(column)),
    ("may be another label", lambda name, _: plain(name) in {*USUAL_LABELS, *LIKELY_LABELS}),
    ("holds one value alone", lambda _, column: has_one_value(column)),
    (
        "holds another whole number in each row",
        lambda _, column: is_whole(column) and is_unique(column),
    ),
)


@dataclass(frozen=True)
class Roles:
    """Columns by what they are; `doubt` is what refusals say of a label that nothing but its place tells.

    `choices` are the columns that may be that label, the likelier first, where there are several.
    """

    features: list[str]
    label: str | None
    notes: list[str] = field(default_factory=list)
    doubt: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Look:
    """A table with the names of its columns, and how many of them the model takes."""

    table: Any
    names: list[str]
    count: int | None

    def column(self, name: str) -> Any:
        return self.table.column(name)


def roles_of(table: Any, asked: str | None, count: int | None, index: Collection[str]) -> Roles:
    """Say what the columns are beside a model that takes `count` of them; `index` are those that pandas wrote as such.

    Raises DatasetMismatch where there are too many or too few, by the likeliest column that is too many.
    """
    look = _Look(table, [str(name) for name in table.column_names], count)
    label = _asked(look.names, asked) if asked is not None else None
    look, notes = _without_index(look, label, index)
    label = label or _usual(look) or _telling(look)
    left = _no_features(look, label)
    doubt: str | None = None
    choices: tuple[str, ...] = ()
    if label is None and (count is None or len(look.names) - len(left) > count):
        choices = _by_position(look, [name for name in look.names if name not in left])
        label = choices[0]
        doubt = _doubt(look, label)
    features = [name for name in look.names if name != label and name not in left]
    if count is not None and len(features) != count:
        raise _miscounted(look, features, label, asked)
    if label is not None and label != asked:
        notes.append(f"column {label!r} taken as the label")
    notes += [f"column {name!r} {what}, and is left out" for name, what in left.items()]
    return Roles(features, label, notes, doubt, choices if len(choices) > 1 else ())


def plain(name: str) -> str:
    """Return a name as it is compared: without case, and blanks at its ends."""
    return name.strip().casefold()


def listed(names: Sequence[str]) -> str:
    """Return the names of columns, of a wide table the first and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + more


def _asked(names: list[str], asked: str) -> str:
    alike = [name for name in names if plain(name) == plain(asked)]
    if asked in names or len(alike) == 1:
        return asked if asked in names else alike[0]
    raise DatasetMismatch(
        f"there is no column {asked!r}; the columns are {listed(names)}", pointer="#/label"
    )


def _named(names: Sequence[str], usual: Sequence[str]) -> str | None:
    """Return the column with the first of some usual names, one that is written so before one that is not."""
    for wanted in usual:
        if wanted in names:
            return wanted
        if match := next((name for name in names if plain(name) == wanted), None):
            return match
    return None


def _usual(look: _Look) -> str | None:
    every = look.count == len(look.names)
    return _named(look.names, USUAL_LABELS[:2] if every else USUAL_LABELS)


def _telling(look: _Look) -> str | None:
    """Return the label of a table without a usual name: the one likely name, or the only column of texts."""
    if look.count == len(look.names):
        return None
    if look.count is not None:
        likely = [name for name in look.names if plain(name) in LIKELY_LABELS]
        if len(likely) == 1:
            return likely[0]
    texts = [name for name in look.names if is_words(look.column(name))]
    texts = [name for name in texts if not is_time(name, look.column(name))]
    texts = [name for name in texts if not is_unique(look.column(name))]
    return texts[0] if len(texts) == 1 else None


def _without_index(
    look: _Look, label: str | None, index: Collection[str]
) -> tuple[_Look, list[str]]:
    """Leave out what pandas wrote as an index, unless the model needs the column."""
    kept = [name for name in look.names if name == label or name not in index]
    if len(kept) == len(look.names) or len(kept) < (look.count or 1) + (label is not None):
        return look, []
    notes = [
        f"column {name!r} is an index of pandas, and is left out"
        for name in look.names
        if name not in kept
    ]
    return _Look(look.table, kept, look.count), notes


def _no_features(look: _Look, label: str | None) -> dict[str, str]:
    """Return columns that are no features, with what they are, where there are as many too many."""
    spare = 0 if look.count is None else len(look.names) - look.count - (label is not None)
    if spare <= 0:
        return {}
    if label is None and has_few_values(look.column(look.names[-1])):
        spare -= 1  # the last column is the label
    excluded: dict[str, str] = {}
    for what, is_such in NO_FEATURES:
        for name in look.names:
            if name != label and name not in excluded and is_such(name, look.column(name)):
                excluded[name] = what
    if label is not None and len(excluded) < spare:
        return {}
    return dict([*excluded.items()][: max(0, spare)])


def _by_position(look: _Look, names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns at the ends that may be a label: the last, and the first where the model takes all others."""
    if look.count is None or len(names) != look.count + 1:
        return (names[-1],)
    ends = dict.fromkeys((names[-1], names[0]))
    varying = tuple(name for name in ends if not has_one_value(look.column(name)))
    return varying or (names[-1],)


def _doubt(look: _Look, label: str) -> str:
    end = "last" if label == look.names[-1] else "first"
    other = ""
    if not has_few_values(look.column(label)):
        likely = [
            name for name in look.names if name != label and has_few_values(look.column(name))
        ]
        other = f", such as {likely[0]!r}, which has few values" if likely else ""
    return (
        f"the label was taken to be the {end} column, {label!r}: where it is another one{other}, pass --label COLUMN "
        f"(labels.column); the columns are {listed(look.names)}"
    )


def _miscounted(
    look: _Look, features: list[str], label: str | None, asked: str | None
) -> DatasetMismatch:
    beside = "" if label is None else f" beside {label!r}"
    miscount = (
        f"the table has {len(features)} feature columns{beside}, and the model takes {look.count}"
    )
    remedy = ""
    if len(features) > (look.count or 0):
        odd = _oddest(look, features)
        which = f", most likely {odd[0]!r}, which {odd[1]}" if odd else ""
        remedy = f": drop what is no feature{which}"
    named = "" if asked is not None else "; the label is named by --label COLUMN (labels.column)"
    return DatasetMismatch(
        f"{miscount}{remedy}{named}; the columns are {listed(look.names)}", pointer="#/file"
    )


def _oddest(look: _Look, features: list[str]) -> tuple[str, str] | None:
    """Return the column that is least like a feature, and why; None where all are alike."""
    for what, is_such in (*NO_FEATURES, *SUSPECT):
        if odd := next((name for name in features if is_such(name, look.column(name))), None):
            return odd, what
    return None
