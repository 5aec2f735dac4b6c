"""What a column looks like: it numbers the rows, it holds times, words, or another value in each row."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa

from spectral_engine.data.reading.columns import is_text
from spectral_engine.data.text_tables.number_texts import is_number

INDEX_NAMES = frozenset(
    {"", "index", "id", "unnamed: 0", "__index_level_0__", "row", "rowid", "row_id", "idx", "#", "no", "no.", "nr"}
)  # fmt: skip
ID_NAMES = frozenset({"index", "id", "idx", "uuid", "guid", "rowid", "row_id", "__index_level_0__"})
TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$")
LOOKED_AT = 1000  # values of a column of texts


def numbers_rows(name: str, column: Any) -> bool:
    """Say whether a column of a usual name counts the rows from 0 or 1, or numbers them in another order."""
    named = name.strip().casefold()
    if named not in INDEX_NAMES | ID_NAMES:
        return False
    if not pa.types.is_integer(column.type) or column.null_count or len(column) == 0:
        return False
    values = np.asarray(column.to_numpy())
    if bool((np.diff(values) == 1).all()) and int(values[0]) in {0, 1}:
        return True
    return named in ID_NAMES and len(values) > 1 and len(np.unique(values)) == len(values)


def is_time(name: str, column: Any) -> bool:
    """Say whether a column holds dates or times, as such or as texts of the usual form."""
    del name
    kind = column.type
    if pa.types.is_temporal(kind):
        return True
    if not is_text(kind):
        return False
    values = _some(column)
    return bool(values) and all(TIME.match(value) for value in values)


def is_words(column: Any) -> bool:
    """Say whether a column holds texts, or bytes, that are no numbers."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not is_text(kind):
        return False
    values = _some(column)
    return any(not is_number(value) for value in values)


def is_unique(column: Any) -> bool:
    """Say whether each row has another value."""
    return len(column) > 1 and len(_values(column)) == len(column)


def is_whole(column: Any) -> bool:
    """Say whether a column holds whole numbers."""
    return bool(pa.types.is_integer(column.type))


def has_one_value(column: Any) -> bool:
    """Say whether all rows have the same value."""
    return len(_values(column)) == 1


def has_few_values(column: Any) -> bool:
    """Say whether a column holds what may be classes: texts, or whole numbers that stand ten times each."""
    kind = column.type
    if pa.types.is_integer(kind):
        return len(_values(column)) <= max(2, len(column) // 10)
    return pa.types.is_boolean(kind) or is_words(column)


def _values(column: Any) -> Any:
    """Return the different values of a column; of one that holds lists, none."""
    return pa.array([]) if pa.types.is_nested(column.type) else column.unique()


def _some(column: Any) -> list[str]:
    """Return the first texts of a column that are not missing."""
    values = [value for value in column.slice(0, LOOKED_AT).to_pylist() if value is not None]
    return [str(value).strip() for value in values]
