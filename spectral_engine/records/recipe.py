"""What can be asked for: the recipe, validated once and executed as validated.

Imports no torch, so that the API can validate a request without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from spectral_engine.errors import InvalidRequest
from spectral_engine.records.labels import LabelsOption, Task
from spectral_engine.records.method import METHODS, Method
from spectral_engine.records.metrics import IN_OWN_UNITS, Metric
from spectral_engine.records.names import Registered
from spectral_engine.records.part import Part
from spectral_engine.records.rows import RowsAxis, SeenByOriginal
from spectral_engine.records.target import POINTS, Target
from spectral_engine.records.training import Spectral, Training

if TYPE_CHECKING:
    from spectral_engine.methods.prune.options import Prune
    from spectral_engine.methods.sparse.options import Sparse

Quantile = Annotated[float, Field(gt=0.0, lt=1.0)]
MethodName = Annotated[str, Registered(METHODS)]


class Recipe(Part):
    """What the user asks for: method, target, and options.

    >>> Recipe(method="prune", target={"max_metric_drop": 0.01}, seed=0).target.max_metric_drop
    0.01
    """

    method: MethodName = "prune"
    target: Target = Field(default_factory=Target)
    metric: Metric | None = Field(None, description="by task when not given")
    quantile: Quantile | Annotated[list[Quantile], Field(min_length=1, max_length=1000)] = Field(
        0.5,
        description="of quantile_loss, which is also trained where it is the metric; a list is one for each of the "
        "columns [n, …, quantiles] that the model answers",
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
    seen_by_original: SeenByOriginal | None = Field(
        None,
        description="whether the original was trained on these rows, or on which of the file's splits; where nothing "
        "is said, signs of it are looked for",
    )
    rows_axis: RowsAxis | None = Field(
        None,
        description="the axis on which the model's inputs, and arrays in their shape, have their rows: of all inputs, "
        "or by input, null for one that has none",
    )
    training: Training = Field(default_factory=Training)
    spectral: Spectral = Field(default_factory=Spectral)
    seed: int = Field(0, ge=0, lt=2**31)

    if TYPE_CHECKING:  # the sections of methods, which their own folders register
        prune: Prune = Field(default_factory=Prune)
        sparse: Sparse = Field(default_factory=Sparse)

    def __init__(self, **data: Any) -> None:  # lets type checkers accept plain dicts as parts
        super().__init__(**data)

    @model_validator(mode="before")
    @classmethod
    def _refuse_points(cls, given: Any) -> Any:
        """Points and percent are of metrics from 0 to 1: of a squared error they would say nothing."""
        target = given.get("target") if isinstance(given, dict) else None
        drop = target.get("max_metric_drop") if isinstance(target, dict) else None
        if isinstance(drop, str) and given.get("metric") in IN_OWN_UNITS:
            match = POINTS.match(drop)
            if match is not None and match["unit"]:
                raise ValueError(
                    f"target.max_metric_drop: {drop!r} goes with metrics from 0 to 1, and {given['metric']} has a unit "
                    "of its own: write how much it may rise as a plain number"
                )
        return given

    @model_validator(mode="after")
    def _suit_method(self) -> Self:
        filled = METHODS.get(self.method).check(self)
        if filled.target.is_empty:
            # Asked for nothing in particular: the smallest model within one point of the metric.
            filled = filled.model_copy(update={"target": Target(max_metric_drop=0.01)})
        for name in type(self).model_fields:  # validators hand back what they were given
            object.__setattr__(self, name, getattr(filled, name))
        return self

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles that answers aim at where quantile_loss judges: one, or one for each column."""
        return tuple(self.quantile) if isinstance(self.quantile, list) else (self.quantile,)

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


def _take_section(name: str, method: Method) -> None:
    """Give the recipe the section of a method's options."""
    if method.options is not None:
        section = FieldInfo(annotation=method.options, default_factory=method.options)
        Recipe.__pydantic_fields__[name] = section
        Recipe.model_rebuild(force=True)


def _drop_section(name: str, _: Method) -> None:
    """Take the section away again."""
    if Recipe.__pydantic_fields__.pop(name, None) is not None:
        Recipe.model_rebuild(force=True)


METHODS.watch(_take_section, _drop_section)
