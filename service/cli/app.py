"""The commands as typer takes them, each loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from service.cli.commands import COMMANDS, overview
from service.cli.target_options import NarrowingCommand, TargetCommand

TAKES_TARGET = {"compress": TargetCommand, "submit": TargetCommand, "analyze": NarrowingCommand}


class _Loaded(Mapping[str, Any]):
    """Typer's commands by name; asking for one loads its file."""

    def __getitem__(self, name: str) -> Any:
        command = COMMANDS[name]
        function = getattr(import_module(f"service.cli.{command.file}"), command.function)
        if isinstance(function, typer.Typer):  # a command with commands of its own
            return get_command(function)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(name, cls=TAKES_TARGET.get(name))(function)
        return get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Commands(TyperGroup):
    """All commands; their list is told without loading one."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Loaded()  # type: ignore[assignment]  # nothing is ever added

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return the names."""
        return list(COMMANDS)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Print the page that lists the commands; as typer does, at once and past the formatter."""
        typer.echo(overview())


app = typer.Typer(
    name="eigenpress",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
