"""What a user may say of the labels, in the recipe, beside a data set, or on the command line.

Imports no numpy, so that the API can validate it.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Task = Literal[
    "classification",
    "binary",
    "multilabel",
    "regression",
    "detection",
    "ctc",
    "similarity",
    "distillation",
]
Corners = Literal["xyxy", "xywh", "cxcywh"]
Value = bool | int | float | str
ALIASES: dict[str, Task] = {
    "classes": "classification",
    "per_step": "classification",
    "per_pixel": "classification",
    "multi-label": "multilabel",
    "multi_label": "multilabel",
    "none": "distillation",
    "boxes": "detection",
    "object_detection": "detection",
    "ocr": "ctc",
    "speech": "ctc",
    "texts": "ctc",
    "pairs": "similarity",
    "embedding": "similarity",
    "sentence_similarity": "similarity",
}


class LabelsOption(BaseModel):
    """What the labels are. Everything that is not said is found by trying it on the original's answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = Field(None, description="label column of a table")
    array: str | None = Field(None, description="label array of an .npz file")
    classes: list[Value] | None = Field(
        None,
        description='label values in the order of the model\'s outputs; of texts the characters, with `""` where the '
        "blank stands or without it",
    )
    order: Literal["auto", "sorted", "model", "matched"] | list[Value] = Field(
        "auto",
        description="how label values are ordered where `classes` does not say it: sorted, as the "
        "model's own metadata names them, or matched with the original's answers; a list is the same as `classes`",
    )
    ignore: Value | None = Field(None, description="label value that is not counted")
    task: Task | None = Field(None, description="inferred when not given")
    output: str | None = Field(None, description="name of the output that the labels are for")
    boxes: Corners | None = Field(
        None,
        description="how the boxes of an array are written: two corners, corner and size, or centre and size; found by "
        "trying when not given",
    )

    @field_validator("task", mode="before")
    @classmethod
    def _read_alias(cls, task: Any) -> Any:
        return ALIASES.get(task, task) if isinstance(task, str) else task

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if isinstance(self.order, list):
            if self.classes is not None and self.classes != self.order:
                raise ValueError("order: `classes` says another one")
            object.__setattr__(self, "classes", self.order)
        if self.classes is not None and len({*map(str, self.classes)}) < len(self.classes):
            raise ValueError("classes: a value stands twice")
        return self
