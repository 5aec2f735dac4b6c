"""`eigenpress settings`: every setting, from the class that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

HEAD = "| variable | default | meaning |\n|---|---|---|\n"


def settings() -> None:
    """Print the table of settings as Markdown."""
    typer.echo(settings_table(), nl=False)


def settings_table() -> str:
    """Return a Markdown table with one row per setting."""
    from service.settings import Settings

    prefix = str(Settings.model_config.get("env_prefix", ""))
    rows = [_row(prefix, name, field) for name, field in sorted(Settings.model_fields.items())]
    return HEAD + "".join(rows)


def _row(prefix: str, name: str, field: FieldInfo) -> str:
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `{(prefix + name).upper()}` | {_default(field)} | {meaning} |\n"


def _default(field: FieldInfo) -> str:
    """Show a default; one that is computed on the machine is told in the description."""
    if field.is_required():
        return "required"
    if field.default_factory is not None or field.default in {None, ""}:
        return "–"
    return f"`{str(field.default).replace(str(Path.home()), '~')}`"
