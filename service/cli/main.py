"""`eigenpress`: every command, and nothing heavy until one of them runs."""

from __future__ import annotations

import os
import sys

from service.cli.commands import overview

WRONG_USE = 2  # as `service.cli.output` has it, which loads typer


def main() -> None:
    """Run the command line; what lists the commands alone loads no library at all."""
    asked = sys.argv[1:]
    if asked in ([], ["--help"], ["-h"]):
        _print(overview())
        sys.exit(0 if asked else WRONG_USE)
    from service.cli.app import app

    app()


def _print(page: str) -> None:
    try:
        print(page, flush=True)
    except BrokenPipeError:  # `eigenpress --help | head -1` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
