"""`eigenpress analyze`: what could be removed from a model, without training it."""

from __future__ import annotations

import typer

from service.cli.compress import AsJson, ModelFile
from service.cli.output import engine_errors


def analyze(model: ModelFile, as_json: AsJson = False) -> None:
    """Show MODEL's layers of nodes, what is coupled, what stays untouched and why."""
    with engine_errors(as_json):
        import spectral_engine

        analysis = spectral_engine.analyze(model)
    typer.echo(analysis.to_json() if as_json else str(analysis))
