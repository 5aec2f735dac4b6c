"""One ONNX file of a job: parsed once, and opened in onnxruntime once, whoever asks."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import onnx_ir as ir

from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import copy_model
from spectral_engine.measure.runtime import Runner
from spectral_engine.onnx_io.load import load_whole
from spectral_engine.onnx_io.row_axes import RowAxes
from spectral_engine.onnx_io.source import (
    Source,
    as_source,
    files_bytes,
    source_bytes,
    source_sha256,
)

# What is larger is read and opened anew each time: graph and session hold copies of the weights.
KEPT_BYTES = 2**25


class OpenedModel:
    """A file, its graph, and its answers. Copies of the graph share their weights, which never change."""

    def __init__(self, source: Source | str) -> None:
        self.source = as_source(source)
        self._parsed: ir.Model | None = None
        self._external: frozenset[Path] | None = None
        self._runner: Runner | None = None

    @property
    def graph(self) -> ir.Model:
        """A copy of the graph, free to be changed. Raises ModelInvalid and UnsupportedOperator."""
        if self._parsed is not None:
            return copy_model(self._parsed)
        loaded = load_whole(self.source)
        self._external = loaded.external
        if self._file_bytes > KEPT_BYTES:
            return loaded.model
        self._parsed = loaded.model
        return copy_model(loaded.model)

    def module(self, rows: RowAxes | None = None) -> OnnxModule:
        """Return the graph as a torch module of its own; `rows` where these lie elsewhere than it declares."""
        return OnnxModule(self.graph, rows)

    @property
    def runner(self) -> Runner:
        """The file in onnxruntime. Raises ModelInvalid."""
        if self._runner is not None:
            return self._runner
        runner = Runner(self.source)
        if self._file_bytes <= KEPT_BYTES and self.bytes <= KEPT_BYTES:
            self._runner = runner
        return runner

    @cached_property
    def bytes(self) -> int:
        """Bytes on disk, external data included."""
        if self._external is None or isinstance(self.source, bytes):
            return source_bytes(self.source)
        return files_bytes({self.source, *self._external})

    @property
    def _file_bytes(self) -> int:
        """Bytes of the file itself: external data are mapped, not read."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """Digest of the file itself."""
        return source_sha256(self.source)


def opened(model: Source | str | OpenedModel) -> OpenedModel:
    """Return a model opened, by whoever came first."""
    return model if isinstance(model, OpenedModel) else OpenedModel(model)
