"""From raw splits to understood ones: the original is asked on training rows, and the labels are read accordingly."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.split import Split, Splits
from spectral_engine.errors import DatasetMismatch, InvalidRequest, ModelInvalid
from spectral_engine.graph.head import find_head, normalised_by
from spectral_engine.graph.module import OnnxModule
from spectral_engine.meaning.hypotheses import skill_under
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.names import names_in_model
from spectral_engine.meaning.original import check_original
from spectral_engine.meaning.probe import Output, Probe, spread_rows
from spectral_engine.meaning.record import describe
from spectral_engine.meaning.skill import NOTHING, Skill
from spectral_engine.meaning.understand import understand
from spectral_engine.meaning.unlabelled import not_judged
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.measure.runtime import Runner
from spectral_engine.onnx_io.nodes import graph_nodes
from spectral_engine.records.labels import LabelsOption, Task
from spectral_engine.records.metrics import TASK_OF_METRIC
from spectral_engine.records.recipe import Recipe

Array = NDArray[Any]


@dataclass(frozen=True)
class Understood:
    """What the data mean, the splits with labels in canonical form, and the rows on which that was found."""

    meaning: Meaning
    splits: Splits
    probe: Probe


def understand_data(
    module: OnnxModule, original: OpenedModel, splits: Splits, recipe: Recipe, option: LabelsOption
) -> Understood:
    """Say what the labels mean beside this model; raises DatasetMismatch where nothing fits, or where it knows nothing.

    A model that is to be trained from fresh weights need not know anything.
    """
    meaning, probe = _read(module, original, splits, recipe, option)
    meaning = replace(meaning, beside=not_judged(meaning, probe))
    fresh = recipe.spectral.init == "fresh"
    allowed = recipe.allow_poor_original or fresh
    doubts = check_original(meaning, probe, allowed=allowed)
    summary = splits.summary.model_copy(
        update={
            "notes": [*splits.summary.notes, *([] if fresh else doubts), *_not_judged(meaning)],
            "classes": None if meaning.class_names is None else list(meaning.class_names),
            "meaning": describe(meaning),
        }
    )
    read = meaning.relabelled(replace(splits, summary=summary))
    return Understood(meaning, _counted(meaning, read), probe)


def skill_on(
    module: OnnxModule, original: OpenedModel, splits: Splits, recipe: Recipe, option: LabelsOption
) -> Skill:
    """Return what the original knows of the labels on training rows; nothing, where they cannot be read beside it."""
    try:
        meaning, probe = _read(module, original, splits, recipe, option)
    except DatasetMismatch:
        return replace(NOTHING, said="beside labels that fit no output")
    if not meaning.labelled or probe.rows.labels is None:
        return NOTHING
    return skill_under(meaning, meaning.raw(probe.answers), meaning.labels(probe.rows.labels))


def _read(
    module: OnnxModule, original: OpenedModel, splits: Splits, recipe: Recipe, option: LabelsOption
) -> tuple[Meaning, Probe]:
    probe = ask_original(
        module, original, spread_rows(splits.train, together=2 if splits.written.paired else 1)
    )
    probe = replace(probe, preprocessing=splits.preprocessing)
    names = names_in_model(module.model)
    task = asked_task(recipe, option)
    quantiles = recipe.quantiles if recipe.metric == "quantile_loss" else ()
    meaning = understand(
        probe, splits.labels, option, task, names, splits.written, quantiles, recipe.metric
    )
    if len(quantiles) == 1 and meaning.labelled:
        meaning = _at_quantile(meaning, probe, quantiles[0])
    return meaning, probe


def _not_judged(meaning: Meaning) -> list[str]:
    return [
        f"output {other.output!r} is not judged: its answers are kept to the original's, and compared with them by "
        f"{other.metric or 'agreement'}; `labels.output` says which output the labels are for"
        for other in meaning.beside
    ]


def _at_quantile(meaning: Meaning, probe: Probe, quantile: float) -> Meaning:
    """Say that the numbers aim at a quantile; what the original knows is then told by its loss."""
    aiming = replace(meaning, quantiles=(quantile,))
    if meaning.kind != "numbers" or probe.rows.labels is None:
        return meaning
    truth = meaning.labels(probe.rows.labels)
    said = skill_under(aiming, meaning.raw(probe.answers), truth).said
    why = (*meaning.why, f"answers aim at the quantile {quantile:g}: the original {said}")
    return replace(aiming, original=said, why=why)


def asked_task(recipe: Recipe, option: LabelsOption) -> Task | None:
    """Return the task that the request says, also by a metric that only one task has.

    Raises InvalidRequest where two are said.
    """
    said = option.task or recipe.task
    by_metric = None if recipe.metric is None else TASK_OF_METRIC.get(recipe.metric)
    if by_metric is not None and said not in {None, by_metric}:
        raise InvalidRequest(
            f"metric {recipe.metric!r} is of the task {by_metric!r}, and the request says {said!r}",
            pointer="#/recipe/metric",
        )
    return by_metric or said


def ask_original(module: OnnxModule, original: OpenedModel, rows: Split) -> Probe:
    """Run the original on some rows; raises ModelInvalid where no output holds floats for each row."""
    runner = original.runner
    nodes = graph_nodes(module.model)
    answers = runner.predict_all(rows)
    lists = _lists(runner, rows, [name for name in runner.output_names if name not in answers])
    outputs = tuple(
        Output(
            name,
            array,
            find_head(nodes, name).squashed_by,
            normalised_by(nodes, name),
        )
        for name, array in answers.items()
        if name in module.output_names and np.issubdtype(array.dtype, np.floating)
    )
    if not outputs and not any(np.issubdtype(array.dtype, np.floating) for array in lists.values()):
        raise ModelInvalid(
            f"none of the outputs {', '.join(map(repr, runner.output_names))} holds floats for each row, so that "
            "nothing can be trained: export the model with its scores as an output"
        )
    whole = {
        name: array for name, array in answers.items() if np.issubdtype(array.dtype, np.integer)
    }

    def ask(changed: Split) -> dict[str, Array]:
        return runner.predict_all(changed) | _lists(runner, changed, lists)

    return Probe(rows, outputs, ask, beside=whole | lists)


def _lists(runner: Runner, rows: Split, names: Iterable[str]) -> dict[str, Array]:
    """Return those of some outputs that list more for some rows than for others, padded."""
    lists: dict[str, Array] = {}
    for name in names:
        with suppress(ModelInvalid):
            lists |= runner.predict_all(rows, outputs=(name,))
    return lists


def _counted(meaning: Meaning, splits: Splits) -> Splits:
    """Leave out rows of which no label counts."""
    if not meaning.leaves_out or not meaning.labelled:
        return splits
    parts = [_with_labels(meaning, part) for part in splits.parts]
    left_out = splits.summary.train_rows + splits.summary.validation_rows + splits.summary.test_rows
    left_out -= sum(part.rows for part in parts)
    if not left_out:
        return splits
    notes = [
        *splits.summary.notes,
        f"{left_out:,} rows have no label that counts, and are left out",
    ]
    rows = dict(
        zip(("train_rows", "validation_rows", "test_rows"), (p.rows for p in parts), strict=True)
    )
    summary = splits.summary.model_copy(update={"notes": notes, **rows})
    return replace(splits, summary=summary).with_parts(*parts)


def _with_labels(meaning: Meaning, part: Split) -> Split:
    assert part.labels is not None
    counted = meaning.counted(part.labels)
    kept = part if counted.all() else part.take(np.flatnonzero(counted))
    if kept.rows == 0:
        raise DatasetMismatch("no row of a part has a label that counts", pointer="#/y")
    return kept
