"""Everything that a compression needs before it trains: model, coupling, data, objective, all checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import torch
from pydantic import ValidationError

from spectral_engine.cost.budget import check_target
from spectral_engine.data import Claim, Splits, load_splits
from spectral_engine.data.doubt import in_doubt
from spectral_engine.errors import DatasetMismatch, InvalidRequest
from spectral_engine.evaluation.evaluation import Evaluation
from spectral_engine.evaluation.moving import floor_obstacle, in_a_metric_that_moves
from spectral_engine.graph.bodies import BodyKey
from spectral_engine.graph.coupling import Coupling, couple
from spectral_engine.graph.head import is_part_of
from spectral_engine.graph.module import OnnxModule
from spectral_engine.meaning.countable import countable
from spectral_engine.meaning.data import understand_data
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Probe
from spectral_engine.measure.opened_model import OpenedModel, opened
from spectral_engine.onnx_io.node import Node
from spectral_engine.onnx_io.nodes import graph_nodes
from spectral_engine.onnx_io.row_axes import RowAxes
from spectral_engine.preparation.filled_in import told_what_is_filled_in
from spectral_engine.preparation.in_rows import in_rows
from spectral_engine.preparation.label_column import with_label_column
from spectral_engine.preparation.said import rows_axis_said, with_seen_rows
from spectral_engine.preparation.taken_bodies import untaken
from spectral_engine.records.data_facts import DataFacts
from spectral_engine.records.labels import LabelsOption, Task
from spectral_engine.records.metrics import HIGHER_IS_BETTER
from spectral_engine.records.recipe import Recipe
from spectral_engine.training.behind_boxes import behind_boxes, refuse_patience, trained_behind
from spectral_engine.training.objective import Objective, build_objective
from spectral_engine.training.ranks.splitting import devices_from
from spectral_engine.unforeseen import unforeseen

COUNT_NOTHING: set[Task | None] = {"regression", "detection", "ctc", "similarity"}
COUNT_ANSWERS = {None, "accuracy", "balanced_accuracy", "f1_macro", "top5", "agreement"}


@dataclass(frozen=True)
class PreparedJob:
    """A compression that may start."""

    recipe: Recipe
    original: OpenedModel
    coupling: Coupling
    splits: Splits
    meaning: Meaning
    objective: Objective
    evaluation: Evaluation
    device: torch.device
    rows: RowAxes  # where the rows lie in what the module takes and answers
    untaken: frozenset[BodyKey] = frozenset()  # bodies of If that no row takes

    def module(self) -> OnnxModule:
        """Return the original as a torch module of its own."""
        return self.original.module(self.rows).leave(self.untaken)

    @property
    def model_sha256(self) -> str:
        """Digest of the uploaded file."""
        return self.original.sha256


def prepare(
    model: str | Path | bytes | OpenedModel,
    data: str | Path,
    recipe: Recipe,
    **facts: Unpack[DataFacts],
) -> PreparedJob:
    """Import model and data and check that they fit; raises an EngineError that names what does not."""
    device = choose_device(recipe.training.device)
    devices_from(device, recipe.training.devices)  # raises where there are not as many
    with unforeseen(lambda: "importing the model"):
        original = opened(model)
        module = original.module()
    option = labels_option(recipe, facts.get("labels"), facts.get("label"))
    splits, recipe = _read(module, original, data, recipe, option, facts)
    refuse_ragged_answers_alone(module, splits)
    with unforeseen(lambda: "finding out what may be cut"):
        coupling = couple(module, splits.train.row_shapes)
    with unforeseen(lambda: "finding out what the data mean"), in_doubt(splits.doubt):
        understood = understand_data(module, original, splits, recipe, option)
        evaluation = in_a_metric_that_moves(
            Evaluation(understood.meaning, original, understood.splits, recipe)
        )
    objective, rows = _objective(module, evaluation, understood.probe, recipe)
    check_target(recipe.target, is_share=HIGHER_IS_BETTER[evaluation.metric])
    refuse_still_metric(recipe, evaluation)
    return PreparedJob(
        recipe,
        original,
        coupling,
        evaluation.splits,
        evaluation.meaning,
        objective,
        evaluation,
        device,
        rows,
        module.untaken,
    )


def _read(
    module: OnnxModule,
    original: OpenedModel,
    data: str | Path,
    recipe: Recipe,
    option: LabelsOption,
    facts: DataFacts,
) -> tuple[Splits, Recipe]:
    """Return the parts of the data with their label, the module's rows laid as they are, and what is said of them."""
    with unforeseen(lambda: "importing the model"):
        inputs = told_what_is_filled_in(original.runner.inputs, graph_nodes(module.model))
    load = partial(
        load_splits,
        data,
        inputs,
        seed=recipe.seed,
        array=option.array,
        outputs=tuple(value.name or "" for value in module.model.graph.outputs),
        preprocessing=facts.get("preprocessing"),
        claim=claim_of(recipe, option, module),
        rows_axis=rows_axis_said(recipe, facts.get("rows_axis")),
    )
    with unforeseen(lambda: "reading the data"):
        splits = load(label=option.column)
    recipe = with_seen_rows(recipe, facts.get("seen_by_original"), splits.given)
    with unforeseen(lambda: "finding out where the rows lie"):
        in_rows(module, original, splits.train).leave(untaken(module, splits.train))
    with unforeseen(lambda: "finding out which column is the label"):
        splits = with_label_column(module, original, splits, recipe, option, load)
    return splits, recipe


def _objective(
    module: OnnxModule, evaluation: Evaluation, probe: Probe, recipe: Recipe
) -> tuple[Objective, RowAxes]:
    """Return what is trained for, and where the rows lie in what answers it."""
    meaning = evaluation.meaning
    answers = meaning.raw(probe.answers)
    nodes = graph_nodes(module.model)
    objective = build_objective(
        recipe,
        meaning,
        nodes,
        evaluation.splits.train.labels,
        answers,
        other_outputs(nodes, probe, meaning.outputs),
    )
    behind = behind_boxes(module, meaning, probe.rows)
    objective = trained_behind(objective, behind)
    refuse_patience(objective, recipe)
    return objective, module.rows if behind is None else behind.rows


def refuse_ragged_answers_alone(module: OnnxModule, splits: Splits) -> None:
    """Raise DatasetMismatch where nothing says which of the padded answers count: these are told by labels alone."""
    if module.rows.follow and splits.train.labels is None:
        name = next(iter(module.rows.follow))
        raise DatasetMismatch(
            f"output {name!r} answers each entry of samples of different lengths, and there are no labels: give y with "
            "one class number for each entry",
            pointer="#/y",
        )


def claim_of(recipe: Recipe, option: LabelsOption, module: OnnxModule) -> Claim | None:
    """Return what the held-out rows are to show, where the metric counts right answers.

    Where no metric is said, the labels must be such that the usual one counts them: beside the model's outputs they
    may be classes, rather than boxes or numbers.
    """
    floor = recipe.target.max_metric_drop
    if floor is None or recipe.metric not in COUNT_ANSWERS:
        return None
    if recipe.metric is None and (option.task or recipe.task) in COUNT_NOTHING:
        return None
    counts = None if recipe.metric else partial(countable, outputs=row_shapes(module))
    return Claim(floor, recipe.target.confidence, counts)


def row_shapes(module: OnnxModule) -> list[tuple[int | None, ...]]:
    """Return the shape of one row of each output that has one, None for a size that the file leaves open."""
    shapes = [value.shape for value in module.model.graph.outputs if value.shape is not None]
    return [
        tuple(size if isinstance(size, int) else None for size in list(shape)[1:])
        for shape in shapes
    ]


def refuse_still_metric(recipe: Recipe, evaluation: Evaluation) -> None:
    """Raise DatasetMismatch where a floor is asked for in a metric that would be kept whatever a model answers."""
    if recipe.target.max_metric_drop is None or recipe.allow_poor_original:
        return
    if reason := floor_obstacle(evaluation):
        raise DatasetMismatch(
            f"{reason}: max_metric_drop would mean nothing; ask for another metric",
            pointer="#/recipe/metric",
        )


def labels_option(
    recipe: Recipe, beside_data: LabelsOption | dict[str, Any] | None, label: str | None
) -> LabelsOption:
    """Return all that is said of the labels: what the recipe says wins over what the data set says.

    Raises InvalidRequest by field.
    """
    said = _option(beside_data)
    if recipe.labels is not None:
        said = said.model_copy(update=recipe.labels.model_dump(exclude_unset=True))
    if label is not None and said.column is None:
        said = said.model_copy(update={"column": label})
    return said


def _option(given: LabelsOption | dict[str, Any] | None) -> LabelsOption:
    if isinstance(given, LabelsOption):
        return given
    try:
        return LabelsOption.model_validate(given or {})
    except ValidationError as error:
        raise InvalidRequest.of(error, "labels") from error


def other_outputs(nodes: list[Node], probe: Probe, answering: Collection[str]) -> tuple[str, ...]:
    """Return what the model answers in floats for each row, without what is judged and what lays the same out anew."""
    return tuple(
        output.name
        for output in probe.outputs
        if not any(
            is_part_of(nodes, output.name, name) or is_part_of(nodes, name, output.name)
            for name in answering
        )
    )


def choose_device(asked: str) -> torch.device:
    """Turn `auto` into what there is; raises InvalidRequest for a device that is not there."""
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(asked)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            there = f"it has cuda:0 to cuda:{count - 1}" if count else "it has no CUDA device"
            raise InvalidRequest(
                f"{asked} is not on this machine: {there}", pointer="#/recipe/training/device"
            )
    return device
