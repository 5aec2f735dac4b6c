"""What the command line says and how it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from pydantic import ValidationError


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    TARGET_NOT_MET = 3


def exit_of(outcome: str | None) -> Exit:
    """Return the exit code of a finished compression."""
    return Exit.DONE if outcome == "target_met" else Exit.TARGET_NOT_MET


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object, the only thing that a command with --json writes to stdout."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Tell the person something, on stderr."""
    typer.echo(text, err=True)


def fail(
    detail: str,
    *,
    code: Exit = Exit.FAILED,
    as_json: bool = False,
    error: Mapping[str, object] | None = None,
) -> NoReturn:
    """End with an error: a sentence on stderr, and an object on stdout where --json was given."""
    say(f"error: {detail}")
    if as_json:
        print_json({"error": dict(error or {"code": _catalogue(code), "detail": detail})})
    raise typer.Exit(code)


def _catalogue(code: Exit) -> str:
    return "invalid-request" if code is Exit.WRONG_USE else "internal"


@contextmanager
def engine_errors(as_json: bool) -> Iterator[None]:
    """Turn the engine's errors into a sentence and an exit code."""
    from spectral_engine.errors import EngineError, InvalidRequest

    try:
        yield
    except EngineError as error:
        wrong = isinstance(error, InvalidRequest)
        where = f" [{error.pointer}]" if error.pointer else ""
        fail(
            f"{error.detail}{where} ({error.code})",
            code=Exit.WRONG_USE if wrong else Exit.FAILED,
            as_json=as_json,
            error=error.to_json(),
        )
    except OSError as error:
        fail(str(error), as_json=as_json)


@contextmanager
def client_errors(as_json: bool) -> Iterator[None]:
    """Turn what a server or the way to it did wrong into a sentence and an exit code."""
    from service.client import ApiError, ClientError, ConnectionFailed, JobFailed

    try:
        yield
    except (ApiError, JobFailed) as error:
        problem = error.problem
        lines = [f"{problem.detail} ({problem.code})"]
        lines += [f"  {item.pointer or ''} {item.detail}" for item in problem.errors or ()]
        wrong = isinstance(error, ApiError) and error.code == "invalid-request"
        code = Exit.WRONG_USE if wrong else Exit.FAILED
        fail("\n".join(lines), code=code, as_json=as_json, error=problem.model_dump(mode="json"))
    except ConnectionFailed as error:
        fail(f"{error}; is `eigenpress serve` running?", as_json=as_json)
    except (ClientError, OSError) as error:
        fail(str(error), as_json=as_json)


def wrong_recipe(error: ValidationError, as_json: bool) -> NoReturn:
    """End because the recipe cannot be executed; names every field that is wrong."""
    errors = [
        {"detail": item["msg"], "pointer": "#/recipe/" + "/".join(map(str, item["loc"]))}
        for item in error.errors()
    ]
    detail = "; ".join(
        f"{item['pointer'][2:].replace('/', '.')}: {item['detail']}" for item in errors
    )
    body = {"code": "invalid-request", "detail": detail, "errors": errors}
    fail(detail, code=Exit.WRONG_USE, as_json=as_json, error=body)
