"""What rank 0 tells the others, through a pipe of theirs; tensors go through the process group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from spectral_engine.graph.bodies import BodyKey
from spectral_engine.graph.coupling import Coupling
from spectral_engine.onnx_io.row_axes import RowAxes
from spectral_engine.onnx_io.skeleton import Skeleton
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel


@dataclass(frozen=True)
class Join:
    """Meet the other ranks through a file, and compute on this device."""

    rank: int
    ranks: int
    rendezvous: Path
    device: str
    threads: int
    half: bool  # whether forward passes compute in bfloat16


@dataclass(frozen=True)
class Layout:
    """The model of the steps that follow: a graph without its weights, and how they are held."""

    graph: Skeleton
    rows: RowAxes
    trainable: tuple[str, ...]
    untaken: frozenset[BodyKey]
    form: type[SpectralModel]
    coupling: Coupling
    options: Spectral
    shapes: dict[str, tuple[int, ...]]  # of the tensors that a training changes


@dataclass(frozen=True)
class Step:
    """Take part in one step; inputs are those of the whole batch, `bounds` where each rank's rows begin and end."""

    inputs: dict[str, tuple[tuple[int, ...], torch.dtype]]
    bounds: tuple[int, ...]  # [ranks + 1]
    watch: tuple[str, ...]
    sums_statistics: bool  # whether normalisations see the whole batch
    keeps_activations: bool
    dense_gradient: bool


Order = Join | Layout | Step
