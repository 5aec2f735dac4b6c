"""`eigenpress compress`: a model and data in, a narrower model and a report out, no server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import recipe_options as options
from service.cli.file_or_url import as_path, file_folder_or_url, file_or_url
from service.cli.output import Exit, engine_errors, exit_of, fail, print_json
from service.cli.places import check_places
from service.cli.progress import StageBar
from service.cli.target_options import given_target

if TYPE_CHECKING:
    from spectral_engine.records.progress import Progress
    from spectral_engine.records.recipe import Recipe
    from spectral_engine.result import Result

ModelFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, metavar="MODEL", help=".onnx")
]
DataFile = Annotated[
    Path,
    typer.Argument(
        exists=True,
        readable=True,
        metavar="DATA",
        help=".npz, .csv or .parquet; or images: a folder, .zip or .tar",
    ),
]
ModelSource = Annotated[
    Any,
    typer.Argument(parser=file_or_url, metavar="MODEL", help=".onnx, or its URL"),
]
DataSource = Annotated[
    Any,
    typer.Argument(
        parser=file_folder_or_url,
        metavar="DATA",
        help=".npz, .csv or .parquet; or images: a folder, .zip or .tar; also https:// and s3://",
    ),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="Where the model goes.")
]
ReportOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where the report goes: .html, .json or .csv.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]


def compress(
    context: typer.Context,
    model: ModelSource,
    data: DataSource,
    output: Output,
    method: options.Method = None,
    epochs: options.Epochs = None,
    devices: options.Devices = None,
    no_training: options.NoTraining = False,
    seed: options.Seed = None,
    recipe: options.RecipeFile = None,
    label: options.Label = None,
    labels: options.Labels = None,
    allow_poor_original: options.AllowPoorOriginal = False,
    seen_by_original: options.SeenByOriginal = None,
    rows_axis: options.RowsAxis = None,
    preprocessing: options.Preprocessing = None,
    report: ReportOption = None,
    as_json: AsJson = False,
) -> None:
    """Compress MODEL with DATA on this machine.

    Ends with 0 when the target is met, 3 when it is not (the best candidate is written all the same),
    2 for wrong use, 1 when it failed.
    """
    asked = options.build_recipe(
        recipe,
        as_json=as_json,
        method=method,
        target=given_target(context),
        epochs=options.epochs_of(epochs, no_training=no_training, as_json=as_json),
        devices=devices,
        seed=seed,
        labels=labels,
        allow_poor_original=allow_poor_original,
        seen_by_original=seen_by_original,
        rows_axis=rows_axis,
    )
    pixels = options.read_preprocessing(preprocessing, as_json)
    check_places(output, report, as_json, keep=as_path(model))
    with engine_errors(as_json):
        _keep_apart(model, output, as_json)
        result = _run(model, data, asked, label, pixels)
        _save(result, output, report)
    _tell(result, output, report, as_json)
    raise typer.Exit(exit_of(result.outcome))


def _keep_apart(model: Path | str, output: Path, as_json: bool) -> None:
    """End with WRONG_USE where weights that do not fit in OUTPUT would replace those of MODEL."""
    if (file := as_path(model)) is None:
        return
    from spectral_engine.onnx_io.save import data_path
    from spectral_engine.onnx_io.source import source_files

    data = data_path(output)
    if data.exists() and data.resolve() in {one.resolve() for one in source_files(file)}:
        fail(f"--output would replace {data}", code=Exit.WRONG_USE, as_json=as_json)


def _run(
    model: Path | str,
    data: Path | str,
    recipe: Recipe,
    label: str | None,
    preprocessing: dict[str, Any] | None,
) -> Result:
    with StageBar() as bar:
        bar.show("loading", 0.0)

        def on_progress(progress: Progress) -> None:
            if progress.warning:
                bar.say(f"warning: {progress.warning}")
            bar.show(
                progress.stage,
                progress.fraction,
                eta_seconds=progress.eta_seconds,
                metrics=progress.metrics,
            )

        import spectral_engine

        return spectral_engine.compress(
            model, data, recipe, on_progress, label=label, preprocessing=preprocessing
        )


def _save(result: Result, output: Path, report: Path | None) -> None:
    result.chosen.save(output)  # weights that do not fit in one file go beside it
    if report is not None:
        result.report.save(report)


def _tell(result: Result, output: Path, report: Path | None, as_json: bool) -> None:
    if as_json:
        print_json(summary(result, output, report))
        return
    from rich.console import Console

    from spectral_engine.report.terminal import render_terminal

    render_terminal(result.report.data, Console())
    typer.echo("\n        ".join([f"model:  {output}", *map(str, _external(result, output))]))
    if report is not None:
        typer.echo(f"report: {report}")


def _external(result: Result, output: Path) -> list[Path]:
    from spectral_engine.onnx_io.save import data_path

    return [data_path(output) for _ in result.chosen.external]


def summary(result: Result, output: Path, report: Path | None) -> dict[str, Any]:
    """Return what a program wants to know: outcome, both models' measurements, where the files are."""
    data = result.report.data
    samples = {"latency": {"__all__": {"samples_ms"}}}
    chosen = data.chosen_candidate()
    return {
        "outcome": data.outcome,
        "outcome_reason": data.outcome_reason,
        "binding_constraint": data.binding_constraint,
        "baseline": data.baseline.model_dump(mode="json", exclude=samples),
        "chosen": chosen.model_dump(mode="json", exclude={"measurement": samples}),
        "candidates": len(data.candidates),
        "recipe": data.recipe,
        "warnings": data.warnings,
        "output": str(output),
        "external": [str(file) for file in _external(result, output)],
        "report": None if report is None else str(report),
    }
