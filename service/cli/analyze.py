"""`eigenpress analyze`: what could be removed from a model, without training it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import recipe_options as options
from service.cli.compress import AsJson, ModelSource
from service.cli.file_or_url import file_folder_or_url
from service.cli.output import Exit, client_errors, engine_errors, fail
from service.cli.progress import StageBar
from service.cli.remote import External, connect, uploading
from service.cli.target_options import given_target

if TYPE_CHECKING:
    from spectral_engine.records.analysis import Analysis

Server = Annotated[
    str | None, typer.Option(metavar="URL", help="Upload MODEL, and let this service analyze it.")
]
Data = Annotated[
    Any,
    typer.Option(parser=file_folder_or_url, metavar="DATA", help="What does it mean beside MODEL?"),
]


def analyze(
    context: typer.Context,
    model: ModelSource,
    data: Data = None,
    label: options.Label = None,
    labels: options.Labels = None,
    seen_by_original: options.SeenByOriginal = None,
    rows_axis: options.RowsAxis = None,
    preprocessing: options.Preprocessing = None,
    server: Server = None,
    external: External = None,
    as_json: AsJson = False,
) -> None:
    """Show MODEL's layers of nodes, what is coupled, what stays untouched and why.

    With a target, say whether narrowing can meet it; ends with 3 where it cannot. With data, say what they mean.
    """
    target = given_target(context) or None
    said = {
        "label": label,
        "labels": options.read_labels(labels, as_json),
        "seen_by_original": options.read_seen(seen_by_original),
        "rows_axis": None if rows_axis is None else options.read_rows_axis(rows_axis, as_json),
        "preprocessing": options.read_preprocessing(preprocessing, as_json),
    }
    if server is not None:
        _refuse_urls(model, data, as_json)
    analysis = (
        _here(model, target, data, said, as_json)
        if server is None
        else _there([model, *(external or ())], target, data, said, server, as_json)
    )
    typer.echo(analysis.to_json() if as_json else str(analysis))
    if analysis.target is not None and not analysis.target.feasible:
        raise typer.Exit(Exit.TARGET_NOT_MET)


def _refuse_urls(model: Path | str, data: Path | str | None, as_json: bool) -> None:
    """End with WRONG_USE where a file is to be uploaded, and a URL is given: a service reads none."""
    for given in (model, data):
        if isinstance(given, str):
            fail(
                f"a service reads no URL, as {given}: download the file, and give its path",
                code=Exit.WRONG_USE,
                as_json=as_json,
            )


def _here(
    model: Path | str,
    target: dict[str, Any] | None,
    data: Path | str | None,
    said: dict[str, Any],
    as_json: bool,
) -> Analysis:
    with engine_errors(as_json):
        import spectral_engine

        return spectral_engine.analyze(model, target, data=data, **said)


def _there(
    files: list[Path],
    target: dict[str, Any] | None,
    data: Path | None,
    said: dict[str, Any],
    server: str,
    as_json: bool,
) -> Analysis:
    with client_errors(as_json), connect(server, as_json) as client, StageBar() as bar:
        sent = client.models.create(
            files[0], external=files[1:], on_bytes=uploading(bar, "uploading model")
        )
        rows = None
        if data is not None:
            on_bytes = uploading(bar, "uploading data")
            rows = client.datasets.create(data, on_bytes=on_bytes, **said).id
        ended = client.analyses.create(model=sent.id, dataset=rows, target=target).wait()
    assert ended.result is not None
    return ended.result
