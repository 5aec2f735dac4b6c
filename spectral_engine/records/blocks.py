"""In what blocks of nodes the cost of a layer rises, in one runtime on one machine."""

from __future__ import annotations

from pydantic import Field

from spectral_engine.records.part import Part


class Blocks(Part):
    """Widths that cost as much as the next multiple of the block: what `prune.round_to` keeps multiples of."""

    convolution: int = Field(8, ge=1, le=256, description="channels of convolutions")
    dense: int = Field(1, ge=1, le=256, description="nodes of all other layers")
    measured_on: str | None = Field(
        None, max_length=300, description="runtime and machine; None where nobody measured"
    )
