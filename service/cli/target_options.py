"""The options of a target, made from its fields: shared by `compress`, `submit` and `analyze`.

They are made when a command's options are first asked for: the model of the target loads pydantic, which the list of
all commands does without.
"""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Callable

PANEL = "Recipe"
GIVEN = "eigenpress.target"
# Where an amount brings its unit along, the name need not.
ALSO = {"max_latency_ms": ["--max-latency"]}


class TargetCommand(TyperCommand):
    """A command that takes every field of a target; `given_target` hands them out."""

    def fields(self) -> list[str]:
        """Return the fields that become options."""
        from spectral_engine.records.target import Target

        return list(Target.model_fields)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's own options, with the target's before those of how to train."""
        params = super().get_params(ctx)
        first = [one for one in params if isinstance(one, TyperArgument) or one.name == "method"]
        return [*first, *self._made, *(one for one in params if one not in first)]

    @cached_property
    def _made(self) -> list[Any]:
        return _options(self.fields())


class NarrowingCommand(TargetCommand):
    """A command that takes the fields of a target that ask for fewer nodes."""

    def fields(self) -> list[str]:
        """Return the fields that become options."""
        from spectral_engine.records.target import narrowing_fields

        return narrowing_fields()


def given_target(context: typer.Context) -> dict[str, str]:
    """Return the fields of the target that were given, as they were written."""
    return dict(context.meta.get(GIVEN, {}))


def _options(fields: list[str]) -> list[Any]:
    """Let typer make the options, from the signature of a command that has them alone."""
    maker = typer.Typer(add_completion=False)
    maker.command()(_with_signature([_parameter(field) for field in fields]))
    return list(get_command(maker).params)


def _with_signature(parameters: list[inspect.Parameter]) -> Callable[..., None]:
    def command(**_: Any) -> None: ...

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {}
    return command


def _parameter(field: str) -> inspect.Parameter:
    names = [f"--{field.replace('_', '-')}", *ALSO.get(field, ())]
    metavar, text = _told(field)
    option = typer.Option(
        *names,
        rich_help_panel=PANEL,
        callback=_take,
        expose_value=False,
        metavar=metavar,
        help=text,
    )
    return inspect.Parameter(
        field,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )


def _told(field: str) -> tuple[str, str]:
    """Return how a field is shown: what stands for its value, and what it means."""
    from spectral_engine.records.target import Target, way_of

    way, text = way_of(field), Target.model_fields[field].description or ""
    told = text[:1].upper() + text[1:]
    return ("X", f"{told}.") if way is None else (way.metavar, f"{told}. Write {way.ways}.")


def _take(context: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
    """Check a value by its field, and keep it as it was written."""
    from pydantic import ValidationError

    from spectral_engine.records.target import Target

    if value is None or param.name is None:
        return value
    try:
        Target.model_validate({param.name: value})
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    context.meta.setdefault(GIVEN, {})[param.name] = value
    return value
