"""Which alphabet a reader answers in, and which class is the blank: tried on the original's answers."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning.chance import skill_above_chance
from spectral_engine.meaning.coding import are_whole
from spectral_engine.meaning.layout import form_of
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Output, Probe
from spectral_engine.meaning.readings import USUAL_IGNORED
from spectral_engine.meaning.texts import Characters, Numbered, TextAnswers
from spectral_engine.meaning.trial import Told, Trial

Array = NDArray[Any]
Alphabet = tuple[tuple[str, ...], int, str]  # a text for each class, the blank, how it is known
BLANKS = ("", "<blank>", "[blank]", "blank", "<pad>", "[PAD]", "<blk>", "_", "-", "~", "ε")
ENDS = {0: "first", -1: "last"}
KNOWN = (
    string.digits,
    string.ascii_lowercase,
    string.ascii_uppercase,
    string.digits + string.ascii_lowercase,
    string.digits + string.ascii_uppercase,
    string.ascii_lowercase + string.digits,
    string.ascii_uppercase + string.digits,
    string.ascii_letters,
    string.digits + string.ascii_letters,
    "".join(map(chr, range(32, 127))),
    string.printable[:94],
    string.printable[:95],
)
SAID = {
    "given": "characters in the order that labels.classes gives",
    "model": "characters in the order that the model file names them",
    "sorted": "the characters of the labels, sorted, are the classes in order",
    "usual": "characters in the usual order of their kind",
    "numbers": "labels are class numbers",
}


def are_texts(labels: Array) -> bool:
    """Say whether labels may be texts: strings [n], or class numbers [n, longest]."""
    if labels.dtype.kind == "U":
        return labels.size == len(labels)
    return labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "iu"


def is_reader(output: Output, rows: int) -> bool:
    """Say whether an output has classes at several steps of each row [n, steps, k]."""
    shape = output.answers.shape
    return len(shape) == 3 and shape[0] == rows and shape[1] > 1 and shape[2] > 1


def text_trials(outputs: Sequence[Output], probe: Probe, labels: Array, told: Told) -> list[Trial]:
    """Return every alphabet with every blank that fits, tried; `labels` are those of all parts.

    Raises DatasetMismatch at `#/labels/classes` where labels are strings and no alphabet fits.
    """
    readers = [output for output in outputs if is_reader(output, probe.rows.rows)]
    if not are_texts(labels) or not readers:
        return []
    texts = labels.dtype.kind == "U"
    trials = [
        _try(output, alphabet, probe, told, texts=texts)
        for output in readers
        for alphabet in (
            _alphabets(labels, output.answers.shape[2], told)
            if texts
            else _numbered(labels, output.answers.shape[2])
        )
    ]
    if not trials and texts:
        raise _no_alphabet(labels, readers[0])
    return trials


def _try(output: Output, alphabet: Alphabet, probe: Probe, told: Told, *, texts: bool) -> Trial:
    characters, blank, how = alphabet
    count = output.answers.shape[2]
    form = form_of(output.answers, 2, output.squashed_by)
    where = ENDS.get(blank if blank == 0 else blank - count, f"number {blank}")
    meaning = Meaning(
        "ctc",
        output.name,
        TextAnswers("texts", output.answers.shape[1:], 2, form),
        Characters(characters) if texts else Numbered(count, blank),
        characters if texts else told.names_of(count),
        how,
        reading=f"texts that CTC decodes, the {where} class for the blank",
        blank=blank,
    )
    assert probe.rows.labels is not None
    truth = meaning.labels(probe.rows.labels)
    skill = skill_above_chance(meaning, output.answers, truth)
    said = f"read as {meaning.reading}: the original reaches {skill.said}"
    return Trial(replace(meaning, why=(said, SAID[how]), original=skill.said), skill, 1.0)


def _numbered(labels: Array, count: int) -> Iterator[Alphabet]:
    """Yield both ends as the blank, where all numbers are classes or usual fillings."""
    strange = [v for v in np.unique(labels) if not 0 <= v < count and v not in USUAL_IGNORED]
    if strange or not are_whole(labels):
        return
    for blank in (0, count - 1):
        yield (), blank, "numbers"


def _alphabets(labels: Array, count: int, told: Told) -> Iterator[Alphabet]:
    """Yield alphabets of so many classes that hold all characters of the labels, without a repetition."""
    used = {character for text in labels.reshape(-1) for character in str(text)}
    if told.option.classes is not None:
        yield from _given([str(value) for value in told.option.classes], count, used)
        return
    seen = set()
    for characters, how in _candidates(used, told):
        for classes, blank in _with_blank(characters, count, used):
            if used <= {*classes} and (classes, blank) not in seen:
                seen.add((classes, blank))
                yield classes, blank, how


def _candidates(used: set[str], told: Told) -> Iterator[tuple[Sequence[str], str]]:
    for names in told.in_model:
        yield names, "model"
        yield (
            [*names, " "],
            "model",
        )  # PaddleOCR's readers answer spaces as a class that the list leaves out
    yield sorted(used), "sorted"
    for characters in KNOWN:
        yield characters, "usual"


def _with_blank(
    characters: Sequence[str], count: int, used: set[str]
) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the classes with a blank: put before or behind them, or one of those that no label holds."""
    if len(characters) == count - 1:
        yield ("", *characters), 0
        yield (*characters, ""), count - 1
    elif len(characters) == count:
        named = [p for p, text in enumerate(characters) if text in BLANKS and text not in used]
        ends = [p for p in (0, count - 1) if characters[p] not in used]
        for blank in dict.fromkeys([*named, *ends]):
            yield tuple("" if p == blank else t for p, t in enumerate(characters)), blank


def _given(classes: list[str], count: int, used: set[str]) -> Iterator[Alphabet]:
    if len(classes) not in {count, count - 1}:
        raise DatasetMismatch(
            f"labels.classes names {len(classes)} characters, and the model answers {count} classes: give "
            f'{count - 1}, and the blank is found, or {count} with "" where the blank stands',
            pointer="#/labels/classes",
        )
    missing = sorted(used - {*classes})
    if missing:
        raise DatasetMismatch(
            f"labels hold {missing[0]!r}, and labels.classes does not name it",
            pointer="#/labels/classes",
        )
    alphabets = [(*with_blank, "given") for with_blank in _with_blank(classes, count, used)]
    if not alphabets:
        raise DatasetMismatch(
            f'labels.classes names {count} characters for {count} classes, and none is the blank: write "" for it',
            pointer="#/labels/classes",
        )
    yield from alphabets


def _no_alphabet(labels: Array, output: Output) -> DatasetMismatch:
    used = sorted({character for text in labels.reshape(-1) for character in str(text)})
    count = output.answers.shape[2]
    return DatasetMismatch(
        f"labels are texts of {len(used)} characters ({''.join(used)[:60]!r}), and output {output.name!r} tells "
        f"{count} classes apart at each step: give the {count - 1} characters beside the blank, in order, as "
        "labels.classes",
        pointer="#/labels/classes",
    )
