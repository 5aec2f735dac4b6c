"""`load`: an ONNX file as a torch module."""

from __future__ import annotations

from pathlib import Path

from spectral_engine.graph.module import OnnxModule
from spectral_engine.onnx_io.load import load_model
from spectral_engine.remote import on_this_machine
from spectral_engine.unforeseen import unforeseen


def load(source: str | Path | bytes) -> OnnxModule:
    """Return the model as a torch module: call it with inputs by name, get outputs by name.

    Raises ModelInvalid for bytes that are not a sound model, UnsupportedOperator for a node that cannot be executed.
    """
    with unforeseen(lambda: "importing the model"), on_this_machine(source, "model") as here:
        return OnnxModule(load_model(here))
