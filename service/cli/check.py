"""`eigenpress check`: what a data set means beside a model, before anything trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from service.cli import recipe_options as options
from service.cli.compress import AsJson, DataFile, ModelFile
from service.cli.output import engine_errors

if TYPE_CHECKING:
    from spectral_engine.report.check_schema import DataCheck


def check(
    model: ModelFile,
    data: DataFile,
    recipe: options.RecipeFile = None,
    label: options.Label = None,
    labels: options.Labels = None,
    allow_poor_original: options.AllowPoorOriginal = False,
    preprocessing: options.Preprocessing = None,
    as_json: AsJson = False,
) -> None:
    """Say how DATA is read beside MODEL, what its labels mean, and what the model knows of them.

    Nothing trains. Ends with 1 where `compress` would refuse the data, and says why and what to pass.
    """
    asked = options.build_recipe(
        recipe,
        as_json=as_json,
        method=None,
        target={},
        epochs=None,
        seed=None,
        labels=labels,
        allow_poor_original=allow_poor_original,
    )
    pixels = options.read_preprocessing(preprocessing, as_json)
    with engine_errors(as_json):
        import spectral_engine

        found = spectral_engine.check(model, data, asked, label=label, preprocessing=pixels)
    typer.echo(found.to_json() if as_json else _page(found))


def _page(found: DataCheck) -> str:
    """Return what a person wants to know, a line each."""
    data, meaning, original = found.data, found.meaning, found.original
    lines = [
        f"rows      {data.train_rows:,} to train on, {data.validation_rows:,} to choose by, "
        f"{data.test_rows:,} held out ({data.split} split)",
        f"labels    {meaning.reading}, of output {meaning.output!r} ({meaning.form})",
    ]
    if meaning.classes is not None:
        shown = ", ".join(meaning.classes[:12]) + (", …" if len(meaning.classes) > 12 else "")
        lines.append(f"classes   {shown} (order: {meaning.order})")
    if meaning.ignore is not None:
        lines.append(f"ignored   {meaning.ignore:g}")
    low, high = original.interval.low, original.interval.high
    against = "the reference" if original.against == "original" else f"{low:.4g} to {high:.4g}"
    lines.append(f"original  {found.metric} {original.value:.4g} on validation rows ({against})")
    lines += [f"why       {reason}" for reason in meaning.why]
    lines += [f"or else   {other.reading}: {other.original}" for other in meaning.tried]
    lines += [f"note      {note}" for note in data.notes]
    if found.still is not None:
        lines.append(f"warning   {found.still}: max_metric_drop would be refused in this metric")
    return "\n".join(lines)
