"""`eigenpress check`: what a data set means beside a model, before anything trains."""

from __future__ import annotations

import typer

from service.cli import recipe_options as options
from service.cli.compress import AsJson, DataSource, ModelSource
from service.cli.output import engine_errors


def check(
    model: ModelSource,
    data: DataSource,
    recipe: options.RecipeFile = None,
    label: options.Label = None,
    labels: options.Labels = None,
    allow_poor_original: options.AllowPoorOriginal = False,
    seen_by_original: options.SeenByOriginal = None,
    rows_axis: options.RowsAxis = None,
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
        seen_by_original=seen_by_original,
        rows_axis=rows_axis,
    )
    pixels = options.read_preprocessing(preprocessing, as_json)
    with engine_errors(as_json):
        import spectral_engine

        meaning = spectral_engine.check(model, data, asked, label=label, preprocessing=pixels)
    typer.echo(meaning.to_json() if as_json else str(meaning))
