"""Which column of a table is the label, where nothing but its place tells: the one that the original knows most of."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from spectral_engine.data import Splits
from spectral_engine.errors import DatasetMismatch
from spectral_engine.graph.module import OnnxModule
from spectral_engine.meaning.data import skill_on
from spectral_engine.meaning.original import GO_ON
from spectral_engine.meaning.skill import MUCH_BETTER, NOTHING, Skill
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.records.labels import LabelsOption
from spectral_engine.records.recipe import Recipe

FAR_LESS_WRONG = (
    0.5  # of what is unknown under another column: neighbours in a series know much of each other
)
UNREAD = replace(NOTHING, said="beside columns that are no features")


class Load(Protocol):
    """Reads the data set once more."""

    def __call__(self, *, label: str) -> Splits:
        """Return the data set with this column as the label."""
        ...


def with_label_column(
    module: OnnxModule,
    original: OpenedModel,
    splits: Splits,
    recipe: Recipe,
    option: LabelsOption,
    load: Load,
) -> Splits:
    """Return the data set with the label under which the original knows most, of those that stand at the table's ends.

    Where it knows nothing under any, the data set stays as it is, in doubt. Raises DatasetMismatch where it knows as
    much under two, unless an original that knows nothing is allowed.
    """
    if not splits.choices:
        return splits
    read = {name: _read(splits, name, load) for name in splits.choices}
    skills = {
        name: UNREAD if labelled is None else skill_on(module, original, labelled, recipe, option)
        for name, labelled in read.items()
    }
    best, second = sorted(skills, key=lambda name: skills[name].value, reverse=True)
    if not skills[best].beats_chance:
        return splits
    if not _stands_out(skills[best], skills[second]):
        if recipe.allow_poor_original:
            return splits
        raise DatasetMismatch(
            f"column {best!r} or {second!r} may be the label, and the original knows as much of one "
            f"({skills[best].said}) as of the other ({skills[second].said}): name it with --label COLUMN "
            f"(labels.column){GO_ON}",
            pointer="#/label",
        )
    said = (
        f"column {best!r} is the label, rather than {second!r}: the original is {skills[best].said} with it, and "
        f"{skills[second].said} with the other"
    )
    return _settled(read[best] or splits, best, said)


def _read(splits: Splits, label: str, load: Load) -> Splits | None:
    """Return the data set with this label, None where the other columns are no features."""
    if label == splits.summary.label:
        return splits
    try:
        return load(label=label)
    except DatasetMismatch:
        return None


def _stands_out(best: Skill, second: Skill) -> bool:
    if not second.beats_chance or best.value - second.value >= MUCH_BETTER:
        return True
    return 1 - best.value <= FAR_LESS_WRONG * (1 - second.value)


def _settled(splits: Splits, label: str, said: str) -> Splits:
    taken = f"column {label!r} taken as the label"
    notes = [said, *(note for note in splits.summary.notes if note != taken)]
    summary = splits.summary.model_copy(update={"notes": notes})
    return replace(splits, summary=summary, doubt=None, choices=())
