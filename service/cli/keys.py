"""`eigenpress keys`: who may use the service. It works on the records themselves, also where no API runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.compress import AsJson
from service.cli.output import Exit, fail, print_json, say

if TYPE_CHECKING:
    from service.store.keys.records import KeyRecord
    from service.store.keys.repository import KeyRepository
    from service.store.keys.secret import KeyText

SUMMARY = "Make, list, rotate and revoke the keys by which the API knows its callers."
keys = typer.Typer(
    name="keys",
    help=SUMMARY,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

keys.__doc__ = SUMMARY

DataDir = Annotated[
    Path | None, typer.Option(file_okay=False, help="Where the service keeps its records.")
]
Prefix = Annotated[str, typer.Argument(metavar="KEY", help="A key's public prefix, from `list`.")]
Days = Annotated[
    float | None,
    typer.Option("--expires-in", min=0.0, max=36_500.0, metavar="DAYS", help="By default never."),
]


@keys.command()
def create(
    tenant: Annotated[
        str, typer.Option(metavar="NAME", help="Whose key it is: tenants see their own alone.")
    ] = "default",
    name: Annotated[str | None, typer.Option(help="What it is for, to tell it by.")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE", help="As jobs:read; repeat for more. By default all but metrics:read."
        ),
    ] = None,
    expires_in: Days = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once."""
    from service.store.keys.scopes import TENANT_SCOPES

    lifetime = None if expires_in is None else timedelta(days=expires_in)
    with _repository(data_dir, as_json) as repository:
        record, key = repository.create(
            tenant=tenant, name=name, scopes=scope or TENANT_SCOPES, lifetime=lifetime
        )
    _tell_once(record, key, as_json)


@keys.command("list")
def list_keys(
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="Only keys of this.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the keys, without their secrets."""
    with _repository(data_dir, as_json) as repository:
        shown = [_shown(record) for record in repository.list(tenant)]
    if as_json:
        print_json({"object": "list", "data": shown})
        return
    for one in shown:
        scopes = " ".join(one["scopes"])
        typer.echo(
            f"{one['prefix']}  {one['status']:<8} {one['tenant']:<16} {one['name'] or '–':<20} "
            f"until {one['expires_at'] or '–'}  used {one['last_used_at'] or 'never'}  {scopes}"
        )


@keys.command()
def rotate(
    key: Prefix,
    overlap: Annotated[
        float,
        typer.Option(
            min=0.0, max=8_760.0, metavar="HOURS", help="How long the old key stays good."
        ),
    ] = 24.0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key like KEY and print it, this once; KEY expires after the overlap."""
    with _repository(data_dir, as_json) as repository:
        record, made = repository.rotate(_prefix(key), timedelta(hours=overlap))
        until = _time(repository.get(_prefix(key)).expires_at)
    _tell_once(record, made, as_json)
    say(f"{_prefix(key)} is good until {until}")


@keys.command()
def revoke(key: Prefix, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """End KEY at once."""
    with _repository(data_dir, as_json) as repository:
        shown = _shown(repository.revoke(_prefix(key)))
    if as_json:
        print_json(shown)
    else:
        typer.echo(f"{shown['prefix']} is revoked")


@contextmanager
def _repository(data_dir: Path | None, as_json: bool) -> Iterator[KeyRepository]:
    """Yield the keys in one transaction; what goes wrong ends the command with a sentence."""
    from sqlalchemy.exc import SQLAlchemyError

    from service.errors import NotFound
    from service.settings import Settings
    from service.store.database import Database
    from service.store.keys.repository import KeyRepository
    from service.store.migrations import SchemaOutdatedError

    settings = Settings() if data_dir is None else Settings(data_dir=data_dir)
    try:
        database = Database(settings.database_url)
        with database.begin() as session:
            yield KeyRepository(session)
        database.close()
    except (ValueError, NotFound) as error:
        fail(str(error), code=Exit.WRONG_USE, as_json=as_json)
    except (SchemaOutdatedError, SQLAlchemyError, OSError) as error:
        fail(f"the records cannot be used: {error}", as_json=as_json)


def _tell_once(record: KeyRecord, key: KeyText, as_json: bool) -> None:
    if as_json:
        print_json(_shown(record) | {"key": key.text})
        return
    typer.echo(key.text)
    say(
        f"key {record.prefix} of tenant {record.tenant}: {' '.join(record.scopes)}, until "
        f"{_time(record.expires_at) or 'it is revoked'}. It is not shown again."
    )


def _shown(record: KeyRecord) -> dict[str, Any]:
    return {
        "object": "api_key",
        "prefix": record.prefix,
        "tenant": record.tenant,
        "name": record.name,
        "scopes": record.scopes,
        "status": record.status,
        "created_at": _time(record.created_at),
        "expires_at": _time(record.expires_at),
        "revoked_at": _time(record.revoked_at),
        "last_used_at": _time(record.last_used_at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _prefix(key: str) -> str:
    """Return the public prefix of what was given: itself, or the beginning of a whole key."""
    return key.removeprefix("sk_").partition("_")[0]
