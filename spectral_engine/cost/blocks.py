"""What `prune.round_to` comes to on this machine, and for this job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from spectral_engine.cost.grid import CONVOLUTIONS, Grid, on_blocks
from spectral_engine.graph.coupling import Coupling
from spectral_engine.records.blocks import Blocks
from spectral_engine.records.target import Target

RoundTo = int | Literal["auto"] | Blocks


def grid_of(coupling: Coupling, round_to: RoundTo) -> Grid:
    """Return the grid of a whole model; `auto` times convolutions on this machine, where the model has any.

    A number is what it says; blocks that were measured give way to smaller ones where a net is too narrow for them.
    """
    settled = settle(coupling, round_to)
    if isinstance(settled, int):
        return on_blocks(coupling, Blocks(convolution=settled, dense=settled), strict=True)
    return on_blocks(coupling, settled if isinstance(settled, Blocks) else Blocks())


def grid_for(coupling: Coupling, round_to: RoundTo, target: Target) -> Grid:
    """Return the grid of a whole model for a target: where time is limited, no blocks are taken that save none."""
    grid = grid_of(coupling, round_to)
    return grid if target.max_latency_ms is None else replace(grid, strict=True)


def settle(coupling: Coupling, round_to: RoundTo, kept: Path | None = None) -> RoundTo:
    """Return what is asked for, and this machine's blocks in the place of `auto`, where there are convolutions.

    A job that resumes, perhaps on another machine, finds in `kept` what it began with.
    """
    has_any = any(transfer.kind in CONVOLUTIONS for transfer in coupling.transfers)
    if round_to != "auto" or not has_any:
        return round_to
    # onnxruntime starts threads where it is imported.
    from spectral_engine.measure.width_profile import blocks_here, read_blocks, write_blocks

    blocks = (read_blocks(kept) if kept else None) or blocks_here()
    if kept is not None:
        write_blocks(blocks, kept)
    return blocks
