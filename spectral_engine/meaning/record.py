"""The meaning of a data set as the report and `eigenpress check` tell it."""

from __future__ import annotations

from spectral_engine.meaning.meaning import Meaning
from spectral_engine.records.report import DataMeaning, TriedReading

MOST_NAMES = 1000


def describe(meaning: Meaning) -> DataMeaning:
    """Return what was understood, in words and figures that others can check."""
    layout = meaning.layout
    return DataMeaning(
        task=meaning.task,
        output=meaning.output,
        reading=meaning.reading,
        answers=layout.kind,
        form=layout.form,
        class_axis=layout.class_axis,
        places=list(layout.places),
        threshold=layout.threshold if layout.kind == "scores" else None,
        classes=None if meaning.class_names is None else list(meaning.class_names[:MOST_NAMES]),
        order=meaning.order,
        ignore=meaning.ignore,
        original=meaning.original,
        why=list(meaning.why),
        tried=[TriedReading(reading=reading, original=said) for reading, said in meaning.tried],
    )
