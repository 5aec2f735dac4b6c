"""The options that make a recipe: those of the target are in `target_options`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.output import Exit, fail, wrong_recipe

if TYPE_CHECKING:
    from spectral_engine.records.recipe import Recipe

PANEL = "Recipe"


Method = Annotated[
    str | None,
    typer.Option(rich_help_panel=PANEL, help="prune, retrain or sparse. [default: prune]"),
]
Epochs = Annotated[int | None, typer.Option(rich_help_panel=PANEL, min=0, metavar="N")]
Devices = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=PANEL,
        min=1,
        metavar="N",
        help="GPUs, or processes on a CPU, that share the rows of each batch. [default: 1]",
    ),
]
NoTraining = Annotated[
    bool,
    typer.Option(
        "--no-training",
        rich_help_panel=PANEL,
        help="Cut at once and solve what stays by least squares, in seconds to minutes; the same as --epochs 0.",
    ),
]
Seed = Annotated[int | None, typer.Option(rich_help_panel=PANEL, min=0, metavar="N")]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        rich_help_panel=PANEL,
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="A recipe as JSON; the options above win over it.",
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Label column of a table, also of one beside images. [default: label, target or last]",
    ),
]
Preprocessing = Annotated[
    str | None,
    typer.Option(
        metavar="JSON",
        help='For instance {"scale": 0.00392, "layout": "nchw"}; of images {"resize": 256, "crop": 224}.',
    ),
]


Labels = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PANEL,
        metavar="JSON",
        help='What the labels are, for instance {"classes": ["cat", "dog"], "ignore": 255}. [default: found by trying]',
    ),
]
AllowPoorOriginal = Annotated[
    bool,
    typer.Option(
        "--allow-poor-original",
        rich_help_panel=PANEL,
        help="Go on where the model does no better than chance on the data.",
    ),
]
SeenByOriginal = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PANEL,
        metavar="yes|no|SPLITS",
        help="Whether the original was trained on these rows, or on which splits: train,val,test. "
        "[default: signs of it are looked for]",
    ),
]
RowsAxis = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PANEL,
        metavar="AXIS|JSON",
        help='Axis of the inputs on which the rows lie, or one by input: {"state": 1, "graph": null}. '
        "[default: as the model declares]",
    ),
]


def build_recipe(
    file: Path | None,
    *,
    as_json: bool,
    method: str | None,
    target: Mapping[str, str],
    epochs: int | None,
    seed: int | None,
    devices: int | None = None,
    labels: str | None = None,
    allow_poor_original: bool = False,
    seen_by_original: str | None = None,
    rows_axis: str | None = None,
) -> Recipe:
    """Merge the recipe file with the options and validate; ends with WRONG_USE where it is not one."""
    from pydantic import ValidationError

    from spectral_engine.records.recipe import Recipe

    body = _read(file, as_json)
    if labels is not None:
        body["labels"] = _object(labels, "--labels", as_json)
    if allow_poor_original:
        body["allow_poor_original"] = True
    if seen_by_original is not None:
        body["seen_by_original"] = read_seen(seen_by_original)
    if rows_axis is not None:
        body["rows_axis"] = read_rows_axis(rows_axis, as_json)
    for part, given in (
        (None, {"method": method, "seed": seed}),
        ("target", target),
        ("training", {"epochs": epochs, "devices": devices}),
    ):
        _merge(body, part, {name: value for name, value in given.items() if value is not None})
    try:
        return Recipe.model_validate(body)
    except ValidationError as error:
        wrong_recipe(error, as_json)


def epochs_of(epochs: int | None, *, no_training: bool, as_json: bool) -> int | None:
    """Return the epochs that are asked for: none with --no-training; ends with WRONG_USE where both are said."""
    if no_training and epochs:
        fail(
            f"--no-training trains nothing, and --epochs asks for {epochs}: leave one out",
            code=Exit.WRONG_USE,
            as_json=as_json,
        )
    return 0 if no_training else epochs


def read_seen(text: str | None) -> bool | list[str] | None:
    """Read yes, no, or names of splits, given as --seen-by-original."""
    if text is None:
        return None
    said = {"yes": True, "true": True, "no": False, "false": False}.get(text.strip().lower())
    return [name.strip() for name in text.split(",")] if said is None else said


def read_rows_axis(text: str, as_json: bool) -> int | dict[str, Any]:
    """Read the number or JSON object given as --rows-axis."""
    try:
        return int(text)
    except ValueError:
        return _object(text, "--rows-axis", as_json)


def read_preprocessing(text: str | None, as_json: bool) -> dict[str, Any] | None:
    """Read the JSON object given as --preprocessing."""
    return None if text is None else _object(text, "--preprocessing", as_json)


def read_labels(text: str | None, as_json: bool) -> dict[str, Any] | None:
    """Read the JSON object given as --labels."""
    return None if text is None else _object(text, "--labels", as_json)


def _read(file: Path | None, as_json: bool) -> dict[str, Any]:
    return {} if file is None else _object(file.read_text("utf-8"), f"--recipe {file}", as_json)


def _object(text: str, what: str, as_json: bool) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        fail(f"{what} is not JSON: {error}", code=Exit.WRONG_USE, as_json=as_json)
    if not isinstance(value, dict):
        fail(f"{what} is not a JSON object", code=Exit.WRONG_USE, as_json=as_json)
    return value


def _merge(body: dict[str, Any], part: str | None, given: dict[str, Any]) -> None:
    """Let the given values win; a part that is not an object is left for validation to name."""
    if not given:
        return
    into = body if part is None else body.setdefault(part, {})
    if isinstance(into, dict):
        into.update(given)
