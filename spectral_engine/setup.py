"""Everything that a compression needs before it trains: model, coupling, data, objective, all checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spectral_engine.data import InputSpec, Split, Splits, load_splits
from spectral_engine.data.classes import class_axis
from spectral_engine.errors import DatasetMismatch, InvalidRequest, ModelInvalid
from spectral_engine.evaluation import Evaluation
from spectral_engine.graph.coupling import Coupling, couple
from spectral_engine.graph.module import OnnxModule
from spectral_engine.measure.runtime import Runner, input_specs
from spectral_engine.methods.budget import check_target
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.nodes import graph_nodes
from spectral_engine.onnx_io.source import Source, as_source, source_sha256
from spectral_engine.recipe import HIGHER_IS_BETTER, Recipe
from spectral_engine.training.objective import (
    Objective,
    build_objective,
    choose_metric,
    find_head,
    infer_task,
)

PROBE_ROWS = 256


@dataclass(frozen=True)
class Setup:
    """A compression that may start."""

    recipe: Recipe
    original: Source
    coupling: Coupling
    specs: list[InputSpec]
    splits: Splits
    objective: Objective
    evaluation: Evaluation
    device: torch.device

    @property
    def model_sha256(self) -> str:
        """Digest of the uploaded file."""
        return source_sha256(self.original)


def prepare(
    model: str | Path | bytes,
    data: str | Path,
    recipe: Recipe,
    *,
    label: str | None,
    preprocessing: dict[str, Any] | None,
) -> Setup:
    """Import model and data and check that they fit; raises an EngineError that names what does not."""
    device = choose_device(recipe.training.device)
    module = OnnxModule(load_model(model))
    original = as_source(model)
    specs = input_specs(original)
    splits = load_splits(
        data, specs, seed=recipe.seed, label=label, preprocessing=preprocessing, task=recipe.task
    )
    coupling = couple(module)
    answers = Runner(original).predict(first_rows(splits.validation, PROBE_ROWS))
    objective = _objective(recipe, module, splits, answers)
    metric = choose_metric(recipe, objective.task, labelled=splits.train.labels is not None)
    check_target(recipe.target, higher_is_better=HIGHER_IS_BETTER[metric])
    evaluation = Evaluation(metric, objective.task, original, splits, recipe)
    return Setup(recipe, original, coupling, specs, splits, objective, evaluation, device)


def _objective(
    recipe: Recipe, module: OnnxModule, splits: Splits, answers: NDArray[Any]
) -> Objective:
    if not np.issubdtype(answers.dtype, np.floating):
        raise ModelInvalid(
            f"the first output {module.output_names[0]!r} holds {answers.dtype}, which cannot be trained: "
            "export the model with its scores as the first output"
        )
    head = find_head(graph_nodes(module.model), module.output_names[0])
    columns = int(np.prod(answers.shape[1:])) if answers.ndim > 1 else 1
    labels = splits.train.labels
    if labels is not None and infer_task(recipe.task, columns, labels) == "classification":
        _check_classes(labels, answers)
    return build_objective(recipe, head, columns, labels, answers, float_outputs(module))


def _check_classes(labels: NDArray[Any], answers: NDArray[Any]) -> None:
    """Refuse labels beyond the model's classes, by value; labels may be one a row, or one for each step or pixel."""
    if answers.ndim < 2 or not np.issubdtype(labels.dtype, np.integer):
        return
    classes = answers.shape[class_axis((len(labels), *answers.shape[1:]), labels.shape)]
    if classes > 1 and int(labels.max()) >= classes:
        raise DatasetMismatch(
            f"labels go up to {int(labels.max())}, and the model has {classes} outputs",
            pointer="#/y",
        )


def float_outputs(module: OnnxModule) -> tuple[str, ...]:
    """Return the graph's outputs after the first that hold floats."""
    return tuple(
        value.name
        for value in module.model.graph.outputs[1:]
        if value.name and value.dtype is not None and value.dtype.is_floating_point()
    )


def first_rows(split: Split, limit: int) -> Split:
    """Return the first rows of a split."""
    return split.take(np.arange(min(limit, split.rows)))


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
