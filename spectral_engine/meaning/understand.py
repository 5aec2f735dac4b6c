"""From raw labels and the original's answers to a Meaning: every reading that fits is tried, the best one stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.written import UNKNOWN, Written
from spectral_engine.errors import DatasetMismatch, InvalidRequest
from spectral_engine.meaning import skill as knows
from spectral_engine.meaning.box_trials import are_boxes, box_trials
from spectral_engine.meaning.boxes import image_size
from spectral_engine.meaning.classes import Naming, name_classes
from spectral_engine.meaning.coding import Numbers, YesOrNo, shown
from spectral_engine.meaning.colours import colour_trials
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.misfit import lists_alone, no_reading
from spectral_engine.meaning.odd import standing_out
from spectral_engine.meaning.order import written as spelled
from spectral_engine.meaning.pairs import pair_trials
from spectral_engine.meaning.probe import Output, Probe
from spectral_engine.meaning.quantiles import quantile_trials
from spectral_engine.meaning.readings import LabelFacts, Reading, facts_of, possible_readings
from spectral_engine.meaning.text_trials import text_trials
from spectral_engine.meaning.trial import Told, Trial
from spectral_engine.meaning.unlabelled import without_labels
from spectral_engine.records.labels import LabelsOption, Task
from spectral_engine.records.metrics import Metric

Array = NDArray[Any]
CLEARLY_BETTER = 0.02  # of skill, before a reading that is less usual wins
OTHER_KINDS = {"detection", "ctc", "similarity"}
RARE = 0.5  # of its skill counts, where two label values or shares of classes are read as numbers


def understand(
    probe: Probe,
    labels: Array | None,
    option: LabelsOption,
    task: Task | None,
    names: Sequence[Sequence[str]],
    written: Written = UNKNOWN,
    quantiles: tuple[float, ...] = (),
    metric: Metric | None = None,
) -> Meaning:
    """Return what the data mean; `labels` are those of all parts, `names` the lists of class names in the file.

    `written` is what reading the file has told, `quantiles` those that numbers aim at, where it is not their mean;
    `metric` is the one that is asked for, which says what answers without labels are.

    Raises DatasetMismatch at `#/y` where no reading fits shapes and values, InvalidRequest where what was asked for
    does not go with them.
    """
    task = option.task or task
    outputs = _asked_outputs(probe, option)
    if labels is None or task == "distillation":
        if not outputs:
            raise lists_alone(probe.answers)
        return without_labels(outputs, probe, task, metric)
    _refuse_one_class(labels, task)
    facts = facts_of(labels, option.ignore, option.classes or ())
    if len(quantiles) > 1 and task in {None, "regression"}:
        trials = quantile_trials(outputs, probe, labels, quantiles)
    else:
        trials = _usual(outputs, probe, facts, option, task, names) if not written.paired else []
        trials += _of_other_kinds(outputs, probe, labels, task, Told(option, written, names))
    if not trials:
        if task is None and are_boxes(labels) and image_size(probe.rows) is not None:
            task = "detection"
        raise no_reading(probe.answers, facts, labels, task)
    best = _best(trials)
    others = best.meaning.tried + tuple(
        (f"{trial.meaning.reading} of {trial.meaning.output!r}", trial.skill.said)
        for trial in trials
        if trial is not best
    )
    return replace(best.meaning, tried=others)


def _usual(
    outputs: Sequence[Output],
    probe: Probe,
    facts: LabelFacts,
    option: LabelsOption,
    task: Task | None,
    names: Sequence[Sequence[str]],
) -> list[Trial]:
    """Return readings as classes, yes or no, and numbers."""
    if task in OTHER_KINDS:
        return []
    return [
        trial for output in outputs for trial in _trials(output, probe, facts, option, task, names)
    ]


def _of_other_kinds(
    outputs: Sequence[Output], probe: Probe, labels: Array, task: Task | None, told: Told
) -> list[Trial]:
    """Return readings as masks of colours, boxes, texts, and similarities of pairs."""
    if told.written.paired:
        return pair_trials(outputs, probe, labels) if task in {None, "similarity"} else []
    trials = []
    if task in {None, "classification", "binary"}:
        trials += colour_trials(outputs, probe, labels, told)
    if task in {None, "detection"}:
        trials += box_trials(probe, labels, told)
    if task in {None, "ctc"}:
        trials += text_trials(outputs, probe, labels, told)
    return trials


def _asked_outputs(probe: Probe, option: LabelsOption) -> list[Output]:
    usable = [o for o in probe.outputs if np.issubdtype(o.answers.dtype, np.floating)]
    if option.output is None:
        return usable
    if option.output in probe.beside:  # which boxes alone are read from
        return []
    named = [output for output in usable if output.name == option.output]
    if not named:
        names = ", ".join(repr(output.name) for output in usable)
        raise InvalidRequest(
            f"labels.output names {option.output!r}; the outputs that can be trained are {names}",
            pointer="#/labels/output",
        )
    return named


def _refuse_one_class(labels: Array, task: Task | None) -> None:
    first = labels.reshape(-1)[:1]
    if task != "regression" and labels.size and (labels == first[0]).all():
        raise DatasetMismatch(
            f"'y' holds one value only, {shown(first[0])}: nothing can be learned from it, and every model is right",
            pointer="#/y",
        )


def _trials(
    output: Output,
    probe: Probe,
    facts: LabelFacts,
    option: LabelsOption,
    task: Task | None,
    names: Sequence[Sequence[str]],
) -> list[Trial]:
    assert probe.rows.labels is not None
    trials: list[Trial] = []
    odd: list[Trial] = []
    for reading in possible_readings(output, facts):
        if (
            task is not None
            and reading.task != task
            and not _is_binary_by_another_name(reading, task)
        ):
            continue
        if reading.task == "regression" and option.ignore is not None and facts.ignore is not None:
            continue  # what is not counted is no number
        trial = _try(reading, output, probe.rows.labels, facts, option, names)
        if trial is not None:
            (odd if reading.odd else trials).append(trial)
    best = standing_out(odd)
    return trials if best is None else [*trials, _without_odd(best, probe.rows.labels)]


def _without_odd(trial: Trial, labels: Array) -> Trial:
    """Say which value is left out, and how much of the labels that is."""
    ignored = trial.meaning.ignore
    said = (
        f"{ignored:g} is not counted ({(labels == ignored).mean():.1%} of the labels): the original knows far less "
        "where any other value is left out instead"
    )
    return replace(trial, meaning=replace(trial.meaning, why=(*trial.meaning.why, said)))


def _is_binary_by_another_name(reading: Reading, task: Task) -> bool:
    """Accept two classes said either way, and yes or no for each of several places."""
    two = reading.task == "classification" and reading.layout.classes == 2
    return (task == "binary" and (two or reading.task == "multilabel")) or (
        task == "classification" and reading.task == "binary"
    )


def _try(
    reading: Reading,
    output: Output,
    labels: Array,
    facts: LabelFacts,
    option: LabelsOption,
    names: Sequence[Sequence[str]],
) -> Trial | None:
    meaning = Meaning(
        reading.task, reading.output, reading.layout, reading=reading.name, ignore=reading.ignore
    )
    weight = 1.0
    if reading.task in {"classification", "binary"}:
        ignore = _not_counted(reading, option)
        naming = Naming(facts.values, ignore, option, names)
        named = name_classes(reading, output.answers, labels, naming)
        if named is None:
            return None
        meaning = replace(
            meaning,
            coding=named.coding,
            class_names=named.names,
            order=named.how,
            ignore=ignore if ignore is None or isinstance(ignore, str) else float(ignore),
            why=named.why,
        )
        skill = knows.of_classes(reading.layout.predicted(output.answers), meaning.labels(labels))
    elif reading.task == "multilabel":
        assert facts.pair is not None
        meaning = replace(meaning, coding=YesOrNo(facts.pair[1], facts.ignore))
        skill = knows.of_columns(reading.layout.predicted(output.answers), meaning.labels(labels))
    else:
        meaning = replace(meaning, coding=Numbers())
        skill = knows.of_numbers(meaning.answers(output.answers), meaning.labels(labels))
        likely = facts.two_valued or facts.one_hots
        weight = RARE if likely and not facts.are_rather_numbers else 1.0
    said = f"read as {reading.name}: the original is {skill.said} under it"
    return Trial(replace(meaning, why=(said, *meaning.why), original=skill.said), skill, weight)


def _not_counted(reading: Reading, option: LabelsOption) -> Any:
    """Return the label value that is not counted: what is said, or found, and never one that is named as a class."""
    if option.ignore is not None:
        return option.ignore
    named = {spelled(value) for value in option.classes or ()}
    return None if spelled(reading.ignore) in named else reading.ignore


def _best(trials: list[Trial]) -> Trial:
    """Return the first trial that no other clearly beats."""
    most = max(trial.weight * trial.skill.value for trial in trials)
    return next(t for t in trials if t.weight * t.skill.value >= most - CLEARLY_BETTER)
