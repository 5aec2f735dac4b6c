"""`eigenpress submit | jobs | watch | cancel | download`, against a running service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import recipe_options as options
from service.cli.compress import AsJson, DataFile, ModelFile
from service.cli.output import Exit, client_errors, exit_of, fail, print_json, say
from service.cli.places import check_places
from service.cli.progress import StageBar
from service.cli.remote import LOCAL, External, connect, uploading
from service.cli.target_options import given_target

if TYPE_CHECKING:
    from service.api.events.schemas import JobEvent
    from service.api.jobs.schemas import JobValidation
    from service.client import Job

Server = Annotated[
    str, typer.Option(envvar="EIGENPRESS_SERVER", metavar="URL", help="Where the service is.")
]
ValidateOnly = Annotated[
    bool,
    typer.Option(
        "--validate-only",
        help="Submit nothing; say what DATA mean to the job, or end with the error that it would fail with.",
    ),
]
VALIDATION_SECONDS = 120.0
JobId = Annotated[str, typer.Argument(metavar="JOB", help="job_…")]


def submit(
    context: typer.Context,
    model: ModelFile,
    data: DataFile,
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
    external: External = None,
    validate_only: ValidateOnly = False,
    server: Server = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Upload MODEL and DATA, submit a job, and print its id."""
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
    with client_errors(as_json), connect(server, as_json) as client, StageBar() as bar:
        sent = client.models.create(
            model, external=external or (), on_bytes=uploading(bar, "uploading model")
        )
        rows = client.datasets.create(
            data, label=label, preprocessing=pixels, on_bytes=uploading(bar, "uploading data")
        )
        if not validate_only:
            job = client.jobs.create(model=sent.id, dataset=rows.id, recipe=asked)
        else:
            bar.show("looking at the data", 0.0)
            checked = client.jobs.validate(
                model=sent.id, dataset=rows.id, recipe=asked, wait_seconds=VALIDATION_SECONDS
            )
    if validate_only:
        _tell_checked(checked, as_json)
    elif as_json:
        print_json(job.model_dump(mode="json"))
    else:
        typer.echo(job.id)


def _tell_checked(checked: JobValidation, as_json: bool) -> None:
    """Print what the data mean; ends with FAILED where no worker has looked at them."""
    if checked.data is None:
        detail = (
            f"not looked at within {VALIDATION_SECONDS:g} s; this waits for {checked.waiting_for}"
        )
        unready = {"code": "result-not-ready", "detail": detail, "analysis": checked.analysis}
        fail(detail, as_json=as_json, error=unready)
    if as_json:
        print_json(checked.model_dump(mode="json"))
    else:
        typer.echo(str(checked.data))


def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    status: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    server: Server = LOCAL,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs."""
    with client_errors(as_json), connect(server, as_json) as client:
        page = client.jobs.list(limit=limit, order="desc", status=status)
    if as_json:
        print_json(page.model_dump(mode="json"))
        return
    for job in page.data:
        ended = job.outcome or job.stage or ""
        done = f"{job.progress.fraction:4.0%}"
        typer.echo(
            f"{job.id}  {job.status:<10} {done}  {ended:<18} {job.created_at:%Y-%m-%d %H:%M}"
        )


def watch(job_id: JobId, server: Server = LOCAL, as_json: AsJson = False) -> None:
    """Show a job's progress until it has ended; ends as `compress` does."""
    with client_errors(as_json), connect(server, as_json) as client:
        job = client.jobs.get(job_id)
        with StageBar() as bar:
            follow(job, bar)
        job.refresh()
    if as_json:
        print_json(job.model_dump(mode="json"))
    else:
        typer.echo(f"{job.status}: {job.outcome or job.status_reason or ''}".rstrip(": "))
    if job.error is not None:
        say(f"error: {job.error.detail} ({job.error.code})")
    raise typer.Exit(exit_of(job.outcome) if job.status == "succeeded" else Exit.FAILED)


def cancel(job_id: JobId, server: Server = LOCAL, as_json: AsJson = False) -> None:
    """Ask a job to stop; it keeps the best candidate so far."""
    with client_errors(as_json), connect(server, as_json) as client:
        job = client.jobs.get(job_id).cancel()
    if as_json:
        print_json(job.model_dump(mode="json"))
    else:
        typer.echo(job.status)


def download(
    job_id: JobId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT.onnx", help="For the model.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For the report: .html, .json or .csv.")
    ] = None,
    candidate: Annotated[
        str | None, typer.Option(metavar="CAND", help="Another model than the chosen one.")
    ] = None,
    server: Server = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Download a job's model (-o) and its report (--report)."""
    if output is None and report is None:
        fail("give -o for the model, --report, or both", code=Exit.WRONG_USE, as_json=as_json)
    check_places(output, report, as_json)
    with client_errors(as_json), connect(server, as_json) as client:
        job = client.jobs.get(job_id)
        if output is not None:
            job.download_model(output, candidate)
        if report is not None:
            job.download_report(report)
    written = {"output": output, "report": report}
    if as_json:
        print_json(written)
    else:
        typer.echo("\n".join(str(file) for file in written.values() if file is not None))


def follow(job: Job, bar: StageBar) -> None:
    """Move the bar along a job's events until the terminal one."""
    bar.show(job.stage or job.status, job.progress.fraction)
    for event in job.events():
        show_event(event, bar)


def show_event(event: JobEvent, bar: StageBar) -> None:
    """Show one event; progress moves the bar, warnings stay on the screen."""
    data: dict[str, Any] = event.data
    if event.level != "info" or event.type == "job.requeued":
        bar.say(f"{event.type.removeprefix('job.')}: {event.message}")
    if "fraction" in data:
        bar.show(
            str(data.get("stage") or "running"),
            float(data["fraction"]),
            eta_seconds=data.get("eta_seconds"),
            metrics=data.get("metrics"),
        )
