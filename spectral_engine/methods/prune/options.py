"""How nodes are removed: the section `prune` of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spectral_engine.records.blocks import Blocks
from spectral_engine.records.compensate import Compensation
from spectral_engine.records.part import Part
from spectral_engine.records.score import ScoreName


class Prune(Part):
    """How nodes are removed."""

    when: Literal["gradual", "post", "pre"] = Field(
        "gradual",
        description="while training; at once after it (post); at once after the eigenvalues alone have trained (pre)",
    )
    score: ScoreName = Field(
        "eigenvalue_taylor_outgoing",
        description="what ranks nodes: |λ|, |λ|·‖φ‖, with their readers' norms, by the first-order change of the loss "
        "in λ, or both; and what others rank by: norms of weights, Taylor, normalisation's γ, chance",
    )
    fine_tune: bool = Field(True, description="train on after cutting at once (post and pre)")
    candidates: int = Field(8, ge=1, le=32, description="how many points of the curve to build")
    finish: Literal["within_budget", "all"] = Field(
        "within_budget",
        description="which points of the curve are trained to their end: those within the budget, while wider ones, "
        "which cannot be handed back, take a third of the last steps; or all, at up to twice the time (gradual)",
    )
    min_nodes: int = Field(4, ge=1, description="of each layer that always stay")
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] | Blocks = Field(
        "auto",
        description="widths of candidates are multiples of this where a layer is cut at all, since runtimes work on "
        "blocks of channels: this number for every layer, numbers by kind of layer, or what a short timing on the "
        "machine of the job finds for convolutions (auto)",
    )
    compensate: Literal["auto"] | Compensation = Field(
        "auto",
        description="how what a removed node told is made good: its mean goes into its readers' biases (mean), or its "
        "readers are solved anew, layer after layer, to answer as before (least_squares); auto takes least squares "
        "for cuts at once (post and pre) and means for those on the way (gradual)",
    )
