"""`eigenpress profile`: the widths of layers that a device runs at full speed."""

from __future__ import annotations

from typing import Annotated

import typer

SCRIPT_HELP = (
    "Print a program that finds them on another device; it needs numpy and onnxruntime alone, and takes the name of an "
    "execution provider."
)


def profile(script: Annotated[bool, typer.Option("--script", help=SCRIPT_HELP)] = False) -> None:
    """Find the widths of layers that run at full speed here.

    Prints what a recipe's prune.round_to takes, to make models for this device elsewhere. Jobs do the same by
    themselves for the machine that they run on.
    """
    from spectral_engine.measure import width_profile

    typer.echo(width_profile.script() if script else width_profile.blocks_here().model_dump_json())
