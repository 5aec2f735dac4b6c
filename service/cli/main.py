"""`eigenpress`: every command, and nothing heavy until one of them runs."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import analyze, check, compress, doctor, jobs, serve, settings_table, worker
from service.cli.target_options import NarrowingCommand, TargetCommand

app = typer.Typer(
    name="eigenpress",
    help="ONNX in, narrower ONNX out. Without a server: compress, analyze, check. With one: serve, submit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

HERE = "On this machine"
SERVICE = "Run the service"
REMOTE = "Use a running service"

app.command(cls=TargetCommand, rich_help_panel=HERE)(compress.compress)
app.command(cls=NarrowingCommand, rich_help_panel=HERE)(analyze.analyze)
app.command(rich_help_panel=HERE)(check.check)
app.command(rich_help_panel=HERE)(doctor.doctor)
app.command(rich_help_panel=SERVICE)(serve.serve)
app.command(rich_help_panel=SERVICE)(worker.worker)
app.command(rich_help_panel=SERVICE)(worker.migrate)
app.command(rich_help_panel=SERVICE)(settings_table.settings)
app.command(cls=TargetCommand, rich_help_panel=REMOTE)(jobs.submit)
app.command("jobs", rich_help_panel=REMOTE)(jobs.list_jobs)
app.command(rich_help_panel=REMOTE)(jobs.watch)
app.command(rich_help_panel=REMOTE)(jobs.cancel)
app.command(rich_help_panel=REMOTE)(jobs.download)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"eigenpress {version('eigenpress')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""
    del version


def main() -> None:
    """Run the command line."""
    app()
