"""What can be asked for: the recipe, validated once and executed as validated.

Imports no torch, so that the API can validate a request without it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spectral_engine.errors import InvalidRequest
from spectral_engine.records.labels import LabelsOption, Task
from spectral_engine.records.link_pattern import WRITTEN, Pattern, parse_pattern

Method = Literal["prune", "retrain", "sparse"]
Distribution = Literal["erk", "uniform"]
Trains = Literal["both", "eigenvalues", "svd", "qr"]
Metric = Literal[
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "top5",
    "auc",
    "log_loss",
    "miou",
    "dice",
    "map",
    "map50",
    "cer",
    "mse",
    "mae",
    "mape",
    "quantile_loss",
    "r2",
    "spearman",
    "agreement",
    "rank_agreement",
]
Score = Literal[
    "eigenvalue",
    "eigenvalue_norm",
    "eigenvalue_outgoing",
    "eigenvalue_taylor",
    "eigenvalue_taylor_outgoing",
    "l1",
    "l2",
    "taylor",
    "bn",
    "random",
]
Precision = Literal["auto", "float32", "bfloat16"]
SplitName = Literal["train", "val", "test"]
Ratio = Annotated[float, Field(gt=0.0, le=1.0)]
# In (0, 1] a ratio to the baseline; above 1 an absolute amount.
Budget = Annotated[float, Field(gt=0.0)]

DEFAULT_DENSITY = 0.1

HIGHER_IS_BETTER: dict[Metric, bool] = {
    "accuracy": True,
    "balanced_accuracy": True,
    "f1_macro": True,
    "top5": True,
    "auc": True,
    "log_loss": False,
    "miou": True,
    "dice": True,
    "map": True,
    "map50": True,
    "cer": False,
    "mse": False,
    "mae": False,
    "mape": False,
    "quantile_loss": False,
    "r2": True,
    "spearman": True,
    "agreement": True,
    "rank_agreement": True,
}


IN_OWN_UNITS: set[Metric] = {"log_loss", "mse", "mae", "quantile_loss"}
# Metrics that only one task has: to ask for one says what the labels are.
TASK_OF_METRIC: dict[Metric, Task] = {
    "map": "detection",
    "map50": "detection",
    "cer": "ctc",
    "spearman": "similarity",
}


POINTS = re.compile(
    r"\s*(?P<number>\d+\.?\d*|\.\d+)\s*(?P<unit>%|pts?|points?)?\s*$", re.IGNORECASE
)


def read_drop(text: str) -> float:
    """Return a drop as people write it, in the unit of a metric of 0 to 1; raises ValueError with the ways to write it.

    >>> read_drop("1pt"), read_drop("1.5 %"), read_drop("0.01")
    (0.01, 0.015, 0.01)
    """
    found = POINTS.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no drop: write 0.01, '1pt' or '1%' for one point")
    return float(found["number"]) / (100 if found["unit"] else 1)


class Part(BaseModel):
    """A part of the recipe: unknown fields are refused, values do not change once validated."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Target(Part):
    """What the result must meet, alone or together.

    A budget in (0, 1] is a ratio to the baseline; above 1 it is an absolute amount.
    """

    max_metric_drop: float | None = Field(
        None,
        ge=0.0,
        description="in the metric's own unit: 0.01 is one point of accuracy; '1pt' and '1%' say the same",
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1.0, description="of the intervals, and that max_metric_drop is kept"
    )
    max_macs: Budget | None = Field(None, description="multiply-adds of one sample")
    max_params: Budget | None = None
    max_bytes: Budget | None = Field(None, description="of the ONNX file, external data included")
    max_latency_ms: Budget | None = Field(
        None,
        description="median time of one row in onnxruntime, on one thread of the CPU that runs the job; up to 1 it is "
        "a ratio to the original's, measured beside it",
    )
    keep_nodes: Ratio | None = Field(None, description="share of the prunable nodes that stay")
    density: Ratio | None = Field(
        None,
        description="share of the links of all transfers that stay (sparse); 0.1 when not given",
    )

    @field_validator("max_metric_drop", mode="before")
    @classmethod
    def _read_points(cls, drop: Any) -> Any:
        return read_drop(drop) if isinstance(drop, str) else drop

    @property
    def is_empty(self) -> bool:
        """True when nothing is asked for."""
        return not self.model_dump(exclude_none=True, exclude={"confidence"})

    @property
    def narrowing(self) -> list[str]:
        """The fields that ask for fewer nodes."""
        return [
            name
            for name in ("keep_nodes", "max_macs", "max_params", "max_bytes", "max_latency_ms")
            if getattr(self, name) is not None
        ]


class Training(Part):
    """How to train. Every field has a default that works."""

    epochs: int = Field(
        30, ge=1, le=10_000, description="epochs of the whole path, cooling included"
    )
    batch_size: int = Field(128, ge=1, le=65_536)
    learning_rate: float | None = Field(None, gt=0.0, description="found when not given")
    weight_decay: float = Field(0.0, ge=0.0)
    distill: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="weight of the original model's outputs in the loss; times the probability that the original gives "
        "to a row's label",
    )
    temperature: float = Field(2.0, gt=0.0, description="of the distillation")
    gradient_clip: float = Field(1.0, gt=0.0, description="largest norm of one step's gradient")
    swap_noise: float | None = Field(
        None,
        ge=0.0,
        lt=1.0,
        description="share of the float inputs that are another row's while training; found when not given, 0 for none",
    )
    class_weights: Literal["auto", "none", "balanced"] = Field(
        "auto",
        description="weigh rows by how rare their class is; auto does so where the metric counts classes alike",
    )
    precision: Precision = Field(
        "auto", description="what forward passes compute in; auto is bfloat16 on a GPU that has it"
    )
    average: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="share of their past that averaged weights keep while cooling",
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="end a cooling after so many epochs without a better validation metric",
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")


class Spectral(Part):
    """The parametrization w_ij = (λ_in_j − λ_out_i) φ_ij."""

    train: Trains = Field(
        "both",
        description="eigenvalues and eigenvectors; eigenvalues alone; or eigenvalues with the singular values (svd) "
        "or the triangular factor (qr) of the eigenvectors. Biases and normalisations train in all",
    )
    two_sided: bool = Field(False, description="train λ_in as well as λ_out")
    init: Literal["pretrained", "fresh"] = Field(
        "pretrained", description="start from the uploaded weights, or draw new ones"
    )


class Prune(Part):
    """How nodes are removed."""

    when: Literal["gradual", "post", "pre"] = Field(
        "gradual",
        description="while training; at once after it (post); at once after the eigenvalues alone have trained (pre)",
    )
    score: Score = Field(
        "eigenvalue_taylor_outgoing",
        description="what ranks nodes: |λ|, |λ|·‖φ‖, with their readers' norms, by the first-order change of the loss "
        "in λ, or both; and what others rank by: norms of weights, Taylor, normalisation's γ, chance",
    )
    fine_tune: bool = Field(True, description="train on after cutting at once (post and pre)")
    candidates: int = Field(8, ge=1, le=32, description="how many points of the curve to build")
    min_nodes: int = Field(4, ge=1, description="of each layer that always stay")
    compensate: Literal["none", "mean"] = Field(
        "mean", description="fold the removed node's mean activation into the next bias"
    )


class Sparse(Part):
    """How a model is trained within a budget of links."""

    schedule: Literal["dense_to_sparse", "sparse_to_sparse"] = Field(
        "dense_to_sparse",
        description="links go while training, from all of them; or there are few from the start, and their places move",
    )
    pattern: str = Field(
        "unstructured",
        pattern=WRITTEN,
        description='"unstructured"; "N:M", at most N of M consecutive inputs; "block:RxC", rectangles of R outputs by '
        "C inputs",
    )
    distribution: Distribution = Field(
        "erk", description="of the links over the transfers: small ones denser (ERK), or all alike"
    )

    @field_validator("pattern")
    @classmethod
    def _read_pattern(cls, text: str) -> str:
        parse_pattern(text)
        return text

    @property
    def links(self) -> Pattern:
        """The pattern, read."""
        return parse_pattern(self.pattern)


class Recipe(Part):
    """What the user asks for: method, target, and options.

    >>> Recipe(method="prune", target={"max_metric_drop": 0.01}, seed=0).target.max_metric_drop
    0.01
    """

    method: Method = "prune"
    target: Target = Field(default_factory=Target)
    metric: Metric | None = Field(None, description="by task when not given")
    quantile: float = Field(
        0.5,
        gt=0.0,
        lt=1.0,
        description="of quantile_loss, which is also trained where it is the metric",
    )
    task: Task | None = Field(None, description="inferred when not given")
    labels: LabelsOption | None = Field(
        None, description="what the labels are; what is not said is found by trying"
    )
    allow_poor_original: bool = Field(
        False,
        description="go on where the original does no better than chance on the data, or far better when they are "
        "read in another way",
    )
    seen_by_original: bool | list[SplitName] | None = Field(
        None,
        description="whether the original was trained on these rows, or on which of the file's splits; where nothing "
        "is said, signs of it are looked for",
    )
    training: Training = Field(default_factory=Training)
    spectral: Spectral = Field(default_factory=Spectral)
    prune: Prune = Field(default_factory=Prune)
    sparse: Sparse = Field(default_factory=Sparse)
    seed: int = Field(0, ge=0, lt=2**31)

    def __init__(self, **data: Any) -> None:  # lets type checkers accept plain dicts as parts
        super().__init__(**data)

    @model_validator(mode="before")
    @classmethod
    def _refuse_points(cls, given: Any) -> Any:
        """Points and percent are of metrics from 0 to 1: of a squared error they would say nothing."""
        target = given.get("target") if isinstance(given, dict) else None
        drop = target.get("max_metric_drop") if isinstance(target, dict) else None
        if isinstance(drop, str) and given.get("metric") in IN_OWN_UNITS:
            found = POINTS.match(drop)
            if found is not None and found["unit"]:
                raise ValueError(
                    f"target.max_metric_drop: {drop!r} goes with metrics from 0 to 1, and {given['metric']} has a unit "
                    "of its own: write how much it may rise as a plain number"
                )
        return given

    @model_validator(mode="after")
    def _fill_target(self) -> Self:
        if self.method == "sparse":
            self._fill_links()
        if self.target.is_empty:
            # Asked for nothing in particular: the smallest model within one point of the metric.
            object.__setattr__(self, "target", Target(max_metric_drop=0.01))
        return self

    def _fill_links(self) -> None:
        """Say what a pattern leaves no choice in."""
        share = self.sparse.links.share
        if self.target.density is None:
            target = self.target.model_copy(update={"density": share or DEFAULT_DENSITY})
            object.__setattr__(self, "target", target)
        if share is not None and "distribution" not in self.sparse.model_fields_set:
            sparse = self.sparse.model_copy(update={"distribution": "uniform"})
            object.__setattr__(self, "sparse", sparse)

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        narrowing = self.target.narrowing
        if self.method == "retrain" and narrowing:
            raise ValueError(f"target.{narrowing[0]}: retrain removes nothing; use prune")
        if self.method != "retrain" and self.spectral.train in {"svd", "qr"}:
            raise ValueError(f"spectral.train: {self.spectral.train!r} goes with retrain alone")
        if self.prune.when == "pre" and self.spectral.train != "both":
            raise ValueError("spectral.train: 'pre' trains the eigenvalues first and then both")
        return self

    @model_validator(mode="after")
    def _check_links(self) -> Self:
        if self.method != "sparse":
            if self.target.density is not None:
                raise ValueError(f"target.density: {self.method} keeps all links; use sparse")
            return self
        if narrowing := self.target.narrowing:
            raise ValueError(f"target.{narrowing[0]}: sparse keeps to target.density; use prune")
        if self.spectral.train != "both":
            raise ValueError("spectral.train: sparse trains eigenvalues and eigenvectors, both")
        share = self.sparse.links.share
        if share is None:
            return self
        if self.target.density is not None and abs(self.target.density - share) > 1e-9:
            raise ValueError(
                f"target.density: {self.sparse.pattern!r} keeps {share:g} of the links, not "
                f"{self.target.density:g}"
            )
        if self.sparse.distribution == "erk":
            raise ValueError(
                f"sparse.distribution: {self.sparse.pattern!r} is the same in every transfer"
            )
        return self

    @classmethod
    def parse(cls, recipe: Recipe | dict[str, Any] | str | None) -> Recipe:
        """Take a recipe as it comes: an object, a plain dict, JSON text, or nothing. Raises InvalidRequest by field."""
        if isinstance(recipe, Recipe):
            return recipe
        try:
            if isinstance(recipe, str):
                return cls.model_validate_json(recipe)
            return cls.model_validate(recipe or {})
        except ValidationError as error:
            raise InvalidRequest.of(error, "recipe") from error
