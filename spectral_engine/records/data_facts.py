"""What is said of a data set besides its file: the keywords of everything that takes data.

Imports no numpy, so that the API can validate it.
"""

from __future__ import annotations

from typing import Any, TypedDict

from spectral_engine.records.labels import LabelsOption
from spectral_engine.records.rows import RowsAxis, SeenByOriginal


class DataFacts(TypedDict, total=False):
    """Facts that nobody needs to state; where the recipe states one too, the recipe wins."""

    label: str | None  # the label column of a table
    preprocessing: (
        dict[str, Any] | None
    )  # what happens to images and arrays before the model takes them
    labels: LabelsOption | dict[str, Any] | None  # what the labels are
    seen_by_original: SeenByOriginal | None  # on which rows the original was trained
    rows_axis: RowsAxis | None  # on which axis of the inputs the rows lie
