"""`analyze`: what could be removed from a model, without data and without training."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Unpack

import onnx_ir as ir
import torch
from pydantic import ValidationError

from spectral_engine.cost.blocks import grid_for
from spectral_engine.cost.budget import cost_of
from spectral_engine.cost.ranking import floor_cost
from spectral_engine.cost.reach import Reach
from spectral_engine.cost.removal import amounts
from spectral_engine.data import Split
from spectral_engine.data_check import checked_job, startable_job, told_of
from spectral_engine.errors import EngineError, InvalidRequest
from spectral_engine.graph.coupling import Coupling, couple
from spectral_engine.graph.layers import Layer
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.trace import trace, traced_batch, traced_inputs
from spectral_engine.measure.opened_model import OpenedModel, opened
from spectral_engine.measure.rows import rows_of
from spectral_engine.methods.prune.options import Prune
from spectral_engine.methods.prune.untrained import plan_untrained, tell_untrained
from spectral_engine.preparation.in_rows import in_declared_rows
from spectral_engine.preparation.prepare import PreparedJob
from spectral_engine.records.analysis import Analysis, Estimate, Feasibility, LayerEntry, Port
from spectral_engine.records.data_facts import DataFacts
from spectral_engine.records.plan import Plan
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.target import Target
from spectral_engine.records.training import Training
from spectral_engine.remote import on_this_machine
from spectral_engine.unforeseen import unforeseen

Shapes = Mapping[str, tuple[int, ...]]

BYTES = 4  # of a float
# Of each parameter: eigenvectors, folded weight, gradient, and the optimiser's two means. All else that a job does
# takes less: the original stays in its file, a large trunk waits on disk while a branch trains.
COPIES = 5
# At most, of all rows together, in the pass that is timed; one row is timed whatever it takes.
TIMED_VALUES = 2**21
STEP_OVER_FORWARD = 3.0  # a training step against a forward pass


def analyze(
    model: str | Path | bytes,
    target: Target | dict[str, Any] | None = None,
    *,
    batch_size: int | None = None,
    min_nodes: int | None = None,
    data: str | Path | None = None,
    recipe: Recipe | dict[str, Any] | str | None = None,
    **facts: Unpack[DataFacts],
) -> Analysis:
    """Return a model's node groups, couplings, ceilings, and what training it would take.

    With a `target`, it says too whether narrowing can meet it, and which nodes would go by the weights alone; with
    `data`, what these mean beside the model, as `check` does; with a `recipe` too, what they mean to a job of this
    recipe, as `dry_run` does. Raises ModelInvalid or UnsupportedOperator, and what `check` or `dry_run` raises.
    """
    with on_this_machine(model, "model") as model_here, on_this_machine(data, "data") as data_here:
        return _looked_at(model_here, target, batch_size, min_nodes, data_here, recipe, facts)


def _looked_at(
    model: str | Path | bytes,
    target: Target | dict[str, Any] | None,
    batch_size: int | None,
    min_nodes: int | None,
    data: str | Path | None,
    recipe: Recipe | dict[str, Any] | str | None,
    facts: DataFacts,
) -> Analysis:
    original = opened(model)
    asked = None if recipe is None else Recipe.parse(recipe)
    if asked is not None:
        if data is None:
            raise InvalidRequest("a recipe is looked at beside data", pointer="#/recipe")
        batch_size = batch_size or asked.training.batch_size
    prune, seed = (Prune(), 0) if asked is None else (asked.prune, asked.seed)
    if min_nodes is not None:
        prune = prune.model_copy(update={"min_nodes": min_nodes})
    with unforeseen(lambda: "looking at the data"):
        look = checked_job if asked is None else startable_job
        job = None if data is None else look(original, data, asked, **facts)
    with unforeseen(lambda: "analysing the model"):
        analysis = _analyze(original, job, _parsed(target), batch_size, prune, seed)
    return analysis if job is None else analysis.model_copy(update={"data": told_of(job)})


def _analyze(
    original: OpenedModel,
    job: PreparedJob | None,
    target: Target | None,
    batch_size: int | None,
    prune: Prune,
    seed: int,
) -> Analysis:
    # Rows that are at hand say where they lie and how long free axes are.
    module = in_declared_rows(original) if job is None else job.module()
    known = None if job is None else job.splits.train.row_shapes
    traced = trace(module, known)
    coupling = couple(module, traced=traced).in_file(original.bytes)

    def row() -> Split:
        taken = {name: value.numpy() for name, value in traced_inputs(module, 1, known).items()}
        return Split(rows_of(taken, module.rows), None)

    verdict = plan = None
    if target is not None:
        grid = grid_for(coupling, prune.round_to, target)
        reach = Reach(original, coupling, target, grid, prune.min_nodes, row, provenance={})
        verdict, plan = _planned(module, reach, prune, seed)
    layers = [_layer(layer, coupling) for layer in coupling.layers]
    graph = module.model.graph
    return Analysis(
        model_sha256=original.sha256,
        opset=module.model.opset_imports.get("", 0),
        graph_nodes=len(graph),
        operators=dict(Counter(node.op_type for node in graph)),
        inputs=[_port(value) for value in graph.inputs],
        outputs=[_port(value) for value in graph.outputs],
        layers=layers,
        untouched=[layer for layer in layers if layer.removable == 0],
        now=amounts(cost_of(coupling, ~coupling.alive())),
        floor=amounts(floor_cost(coupling, prune.min_nodes)),
        estimate=_estimate(module, traced.shapes, known, batch_size or Training().batch_size),
        target=verdict,
        plan=plan,
    )


def _layer(layer: Layer, coupling: Coupling) -> LayerEntry:
    return LayerEntry(
        name=layer.name,
        nodes=len(layer.groups),
        removable=int((~coupling.pinned[layer.groups]).sum()),
        coupled=list(layer.producers),
        reason=layer.reason,
    )


def _port(value: ir.Value) -> Port:
    dims = [] if value.shape is None else [_dim(dim) for dim in value.shape]
    return Port(
        name=value.name or "", dtype="" if value.dtype is None else value.dtype.name, shape=dims
    )


def _dim(dim: int | ir.SymbolicDim) -> int | str | None:
    return dim if isinstance(dim, int) else dim.value


def _estimate(
    module: OnnxModule, shapes: Shapes, known: Shapes | None, batch_size: int
) -> Estimate:
    """Count every value of one pass as kept for the backward pass; time one forward pass of as many rows as are small.

    What is run here takes the memory of one or two rows, or a few megabytes: never that of a batch.
    """
    parameter_count = sum(parameter.numel() for parameter in module.parameters())
    names = set(shapes) - {name for name, _ in module.named_parameters()} - set(module.plan.known)
    values = sum(prod(shapes[name]) for name in names) / traced_batch(module)
    rows = min(batch_size, max(1, int(TIMED_VALUES // max(values, 1))))
    rows = module.rows.at_once or rows
    return Estimate(
        batch_size=batch_size,
        memory_bytes=int(BYTES * (COPIES * parameter_count + 2 * values * batch_size)),
        timed_rows=rows,
        seconds_per_epoch_of_1000_rows=STEP_OVER_FORWARD
        * _seconds(module, rows, known)
        * 1000
        / rows,
    )


def _seconds(module: OnnxModule, rows: int, known: Shapes | None) -> float:
    """Return how long a forward pass of so many rows takes."""
    # This runs them once: what is timed is a second run.
    inputs = traced_inputs(module, rows, known)
    with torch.no_grad():
        begun = time.perf_counter()
        module.run(inputs)
        return time.perf_counter() - begun


def _parsed(target: Target | dict[str, Any] | None) -> Target | None:
    try:
        return Target.model_validate(target) if isinstance(target, dict) else target
    except ValidationError as error:
        raise InvalidRequest.of(error, "target") from error


def _planned(
    module: OnnxModule, reach: Reach, prune: Prune, seed: int
) -> tuple[Feasibility, Plan | None]:
    """Say whether narrowing can meet a target and, where it asks for fewer nodes, which go by the weights alone."""
    try:
        with tempfile.TemporaryDirectory(prefix="plan-") as folder:
            end = reach.end(Path(folder))
    except EngineError as error:
        return Feasibility(feasible=False, reason=error.detail), None
    verdict = Feasibility(
        feasible=True, reason="narrowing can meet it; whether the metric can, training shows"
    )
    if not reach.target.narrowing:
        return verdict, None  # where a drop ends the path, training alone shows
    plan = plan_untrained(
        module, reach.coupling, prune, end, seed, grid=reach.grid, in_time=reach.in_time
    )
    asked = reach.asked
    if reach.target.max_latency_ms is not None:
        asked = asked.also("macs", end.limits["macs"])
    return verdict, tell_untrained(plan, reach.coupling, prune, asked)
