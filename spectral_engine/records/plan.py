"""A plan of removal, told: what goes of each layer, why the rest stays, and what the model costs before and after.

An analysis tells one before anything trains, and a report that of the candidate which was chosen.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field, computed_field

from spectral_engine.records.entry import Entry
from spectral_engine.records.section import Section

NAMES = {
    "nodes": "nodes",
    "macs": "multiply-adds",
    "params": "parameters",
    "bytes": "bytes of the file",
}
Seen = Literal["weights", "run", "answers"]
SEEN: dict[Seen, str] = {
    "weights": "on the weights alone: training moves the ranks, and the widths of a job may differ",
    "run": "along the run",
    "answers": "measured on the answers to training rows",
}


class Ranked(NamedTuple):
    """What ranked nodes, and what that has seen."""

    score: str
    seen: Seen


class LayerWidth(Section):
    """How many nodes a layer had and has, and what it hangs together with."""

    layer: str
    before: int
    after: int
    asked: int | None = Field(
        None,
        description="nodes that score and budget alone leave, before widths are rounded (prune.round_to), which moves "
        "other layers too; in a run, of those that wider candidates have left",
    )
    coupled: list[str] = Field(
        default_factory=list,
        description="the transfers whose output nodes these are: they lose a node together",
    )
    reason: str | None = Field(None, description="why nodes of it must stay, where some must")


class Amounts(Entry):
    """What the model costs."""

    nodes: int = Field(description="nodes that may be removed and are there")
    params: int
    macs: int = Field(description="multiply-adds of one sample")
    file_bytes: int = Field(0, description="of the ONNX file, external data included")

    def of(self, resource: str) -> int:
        """Return one resource by the name that a budget has for it."""
        return int(getattr(self, "file_bytes" if resource == "bytes" else resource))


class Plan(Entry):
    """What goes of each layer, and what the model costs before and after."""

    score: str | None = Field(None, description="what ranks the nodes; None where none did")
    seen: Seen = Field(
        description="what the score has seen: the weights as they came, what a run made of them and its gradients, or "
        "what the model answers without the nodes"
    )
    layers: list[LayerWidth]
    before: Amounts
    after: Amounts
    limits: dict[str, float] = Field(
        default_factory=dict,
        description="most that the target allows, by resource: nodes, macs, params, bytes",
    )

    @computed_field(description="the plan in a sentence")  # type: ignore[prop-decorator]
    @property
    def statement(self) -> str:
        """The plan in a sentence."""
        cut = [width for width in self.layers if width.after < width.before]
        if not cut:
            return "no node goes"
        *most, last = (self._staying(name) for name in NAMES)
        told = [_where(cut, len(self.layers)), f"{', '.join(most)} and {last} stay"]
        moved = [width.layer for width in self.layers if width.asked not in {None, width.after}]
        if moved:
            told.append(f"rounding to whole blocks moved the widths of {_layers(len(moved))}")
        if self.score is not None:
            told.append(f"ranked by {self.score} {SEEN[self.seen]}")
        return "; ".join(told)

    def _staying(self, resource: str) -> str:
        before, after = self.before.of(resource), self.after.of(resource)
        allowed = self.limits.get(resource)
        limit = "" if allowed is None else f" ({allowed:,.0f} allowed)"
        return f"{after:,} of {before:,} {NAMES[resource]}{limit}"


def _where(cut: list[LayerWidth], layers: int) -> str:
    """Say how many layers lose nodes, and which of them the largest share."""
    most = min(cut, key=lambda width: width.after / width.before)
    named = f"{most.layer} ({most.before:,} to {most.after:,})"
    return f"nodes go from {len(cut):,} of {_layers(layers)}, most of all from {named}"


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count:,} layers"
