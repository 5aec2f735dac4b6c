"""What can be asked for: the recipe, validated once and executed as validated.

Imports no torch, so that the API can validate a request without it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Method = Literal["prune", "retrain"]
Trains = Literal["both", "eigenvalues", "svd", "qr"]
Metric = Literal[
    "accuracy", "balanced_accuracy", "f1_macro", "auc", "mse", "mae", "r2", "agreement"
]
Task = Literal["classification", "binary", "multilabel", "regression", "distillation"]
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
Ratio = Annotated[float, Field(gt=0.0, le=1.0)]
# In (0, 1] a ratio to the baseline; above 1 an absolute amount.
Budget = Annotated[float, Field(gt=0.0)]

HIGHER_IS_BETTER: dict[Metric, bool] = {
    "accuracy": True,
    "balanced_accuracy": True,
    "f1_macro": True,
    "auc": True,
    "mse": False,
    "mae": False,
    "r2": True,
    "agreement": True,
}


class Part(BaseModel):
    """A part of the recipe: unknown fields are refused, values do not change once validated."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Target(Part):
    """What the result must meet, alone or together.

    A budget in (0, 1] is a ratio to the baseline; above 1 it is an absolute amount.
    """

    max_metric_drop: float | None = Field(None, ge=0.0, description="in the metric's own unit")
    confidence: float = Field(
        0.95, gt=0.5, lt=1.0, description="of the interval around the measured drop"
    )
    max_macs: Budget | None = Field(None, description="multiply-adds of one sample")
    max_params: Budget | None = None
    keep_nodes: Ratio | None = Field(None, description="share of the prunable nodes that stay")

    @property
    def is_empty(self) -> bool:
        """True when nothing is asked for."""
        return not self.model_dump(exclude_none=True, exclude={"confidence"})


class Training(Part):
    """How to train. Every field has a default that works."""

    epochs: int = Field(
        30, ge=1, le=10_000, description="epochs of the whole path, cooling included"
    )
    batch_size: int = Field(128, ge=1, le=65_536)
    learning_rate: float | None = Field(None, gt=0.0, description="found when not given")
    weight_decay: float = Field(0.0, ge=0.0)
    distill: float = Field(
        0.5, ge=0.0, le=1.0, description="weight of the original model's outputs in the loss"
    )
    temperature: float = Field(2.0, gt=0.0, description="of the distillation")
    gradient_clip: float = Field(1.0, gt=0.0, description="largest norm of one step's gradient")
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


class Recipe(Part):
    """What the user asks for: method, target, and options.

    >>> Recipe(method="prune", target={"max_metric_drop": 0.01}, seed=0).target.max_metric_drop
    0.01
    """

    method: Method = "prune"
    target: Target = Field(default_factory=Target)
    metric: Metric | None = Field(None, description="by task when not given")
    task: Task | None = Field(None, description="inferred when not given")
    training: Training = Field(default_factory=Training)
    spectral: Spectral = Field(default_factory=Spectral)
    prune: Prune = Field(default_factory=Prune)
    seed: int = Field(0, ge=0, lt=2**31)

    def __init__(self, **data: Any) -> None:  # lets type checkers accept plain dicts as parts
        super().__init__(**data)

    @model_validator(mode="after")
    def _fill_target(self) -> Self:
        if self.target.is_empty:
            # Asked for nothing in particular: the smallest model within one point of the metric.
            object.__setattr__(self, "target", Target(max_metric_drop=0.01))
        return self

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        narrowing = sorted({"max_macs", "max_params", "keep_nodes"} & self.target.model_fields_set)
        if self.method == "retrain" and narrowing:
            raise ValueError(f"target.{narrowing[0]}: retrain removes nothing; use prune")
        if self.method != "retrain" and self.spectral.train in {"svd", "qr"}:
            raise ValueError(f"spectral.train: {self.spectral.train!r} goes with retrain alone")
        if self.prune.when == "pre" and self.spectral.train != "both":
            raise ValueError("spectral.train: 'pre' trains the eigenvalues first and then both")
        return self

    @classmethod
    def parse(cls, recipe: Recipe | dict[str, Any] | str | None) -> Recipe:
        """Take a recipe as it comes: an object, a plain dict, JSON text, or nothing."""
        if isinstance(recipe, Recipe):
            return recipe
        if isinstance(recipe, str):
            return cls.model_validate_json(recipe)
        return cls.model_validate(recipe or {})
