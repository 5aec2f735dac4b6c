"""How large a candidate's file will be, before it is written."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.surgery import cut
from spectral_engine.onnx_io.save import PAGE_BYTES, save_model
from spectral_engine.onnx_io.source import files_bytes

# Of a tensor: its sizes and lengths take more bytes the larger it is, and training may give it a longer name.
TENSOR_BYTES = 32


def growth(
    original: ir.Model,
    coupling: Coupling,
    removed: Mark,
    provenance: Mapping[str, str],
    folder: Path,
) -> int:
    """Return by how many bytes a candidate's file outgrows what the coupling counts, at most.

    A cut writes down numbers that the original computes, and its own origin. What that takes depends little on how
    much is cut, so it is measured where these groups are: nearly all that can go, on a file that is thrown away.
    """
    narrow = cut(original, coupling, removed)
    narrow.metadata_props.update(provenance)
    with tempfile.TemporaryDirectory(dir=folder, prefix="size-") as scratch:
        path = Path(scratch) / "narrow.onnx"
        beside = save_model(narrow, path)
        written = files_bytes((path, *beside))
    slack = TENSOR_BYTES + (PAGE_BYTES if beside else 0)
    return written - coupling.file_bytes(removed) + slack * len(coupling.sizes)
