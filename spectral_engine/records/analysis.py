"""What an analysis says of a model: versioned, and light to import, so that the API can state it too."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spectral_engine.records.data_check import DataCheck
from spectral_engine.records.entry import Entry
from spectral_engine.records.plan import Amounts, Plan


class Port(Entry):
    """An input or output of the model."""

    name: str
    dtype: str
    shape: list[int | str | None] = Field(description="symbolic dimensions by name, or null")


class LayerEntry(Entry):
    """A row of nodes that one or several transfers produce."""

    name: str
    nodes: int
    removable: int = Field(description="nodes of it that may go; a floor of some always stays")
    coupled: list[str] = Field(description="the transfers whose output nodes these are, together")
    reason: str | None = Field(None, description="why nodes of it must stay, where some must")


class Estimate(Entry):
    """What training would take, at a batch size, on this machine."""

    batch_size: int
    memory_bytes: int = Field(description="worked out from the shapes of one row")
    timed_rows: int | None = Field(
        None, description="rows of the forward pass that was timed: few where a row has many values"
    )
    seconds_per_epoch_of_1000_rows: float


class Feasibility(Entry):
    """Whether a target can be met by narrowing; what accuracy that costs, only training can tell."""

    feasible: bool
    reason: str


class Analysis(Entry):
    """The node groups of a model, what is coupled, what must stay and why, and how far it could be narrowed."""

    schema_version: Literal["1.0"] = "1.0"
    model_sha256: str
    opset: int
    graph_nodes: int
    operators: dict[str, int]
    inputs: list[Port]
    outputs: list[Port]
    layers: list[LayerEntry]
    untouched: list[LayerEntry] = Field(description="layers of which no node can go")
    now: Amounts
    floor: Amounts = Field(description="what stays when everything that can go is gone")
    estimate: Estimate
    target: Feasibility | None = None
    plan: Plan | None = Field(
        None,
        description="what pruning to the target would remove by the weights alone; None without such a target",
    )
    data: DataCheck | None = Field(None, description="what a data set means beside the model")

    def to_json(self) -> str:
        """Return the analysis as JSON text."""
        return self.model_dump_json(indent=1)

    def __str__(self) -> str:
        told = [] if self.data is None else ["", str(self.data)]
        return "\n".join([*_table(self), "", *_ceilings(self), *told])


def _table(analysis: Analysis) -> list[str]:
    """Return a line for each layer; with a plan, how many nodes of it stay: as asked for, and on the grid of widths."""
    layers, plan = analysis.layers, analysis.plan
    widths = [] if plan is None else plan.layers
    width = max([len("layer"), *(len(layer.name) for layer in layers)])
    rows = [f"{'layer':<{width}}  nodes  removable" + ("  asked   stay" if plan else "")]
    for index, layer in enumerate(layers):
        row = f"{layer.name:<{width}}  {layer.nodes:>5}  {layer.removable:>9}"
        row += "".join(
            f"  {planned.asked:>5}  {planned.after:>5}" for planned in widths[index : index + 1]
        )
        if len(layer.coupled) > 1:
            row += f"  together with {', '.join(layer.coupled[1:])}"
        if layer.reason is not None:
            row += f"  ({layer.reason})"
        rows.append(row)
    return rows


def _ceilings(analysis: Analysis) -> list[str]:
    now, floor = analysis.now, analysis.floor
    lines = [
        f"{name}: {before:,} now, {after:,} at least ({1 - after / max(1, before):.0%} can go)"
        for name, before, after in (
            ("nodes", now.nodes, floor.nodes),
            ("parameters", now.params, floor.params),
            ("multiply-adds", now.macs, floor.macs),
            ("bytes of the file", now.file_bytes, floor.file_bytes),
        )
    ]
    estimate = analysis.estimate
    lines.append(
        f"training: about {estimate.memory_bytes / 2**20:,.0f} MiB, and "
        f"{estimate.seconds_per_epoch_of_1000_rows:.2g} s for 1,000 rows, at batch size {estimate.batch_size}"
    )
    if analysis.target is not None:
        verdict = "feasible" if analysis.target.feasible else "not feasible"
        lines.append(f"target: {verdict}: {analysis.target.reason}")
    if analysis.plan is not None:
        lines.append(f"plan: {analysis.plan.statement}")
    return lines
