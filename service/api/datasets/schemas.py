"""Data sets as they are given and shown."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from service.api.models.schemas import FileLinks
from service.api.schemas import Request, Resource, Timestamp
from service.api.text import Metadata, Name
from spectral_engine.records.labels import LabelsOption
from spectral_engine.records.rows import RowsAxis, SeenByOriginal

Positive = Annotated[float, Field(gt=0)]
Channels = Field(min_length=1, max_length=1024)
Side = Annotated[int, Field(ge=1, le=16_384)]
Sides = Annotated[list[Side], Field(min_length=2, max_length=2)]


class Preprocessing(Request):
    """What is done to every sample before the model sees it."""

    scale: float | None = Field(
        None, description="multiplied with every value; 1/255 for images where it is not given"
    )
    mean: float | Annotated[list[float], Channels] | None = Field(
        None, description="subtracted, one of all or one of each channel"
    )
    std: Positive | Annotated[list[Positive], Channels] | None = Field(
        None, description="divided by, one of all or one of each channel"
    )
    layout: Literal["as_is", "nchw", "nhwc"] | None = None
    reshape: Annotated[list[int], Field(min_length=1, max_length=8)] | None = Field(
        None, description="shape of one sample"
    )
    resize: Side | Sides | None = Field(
        None, description="of images, before all else: the shorter side, or height and width"
    )
    crop: Side | Sides | None = Field(
        None,
        description="of images, after `resize`, out of the middle: a square's side, or height and width",
    )
    letterbox: Literal["centre", "corner"] | None = Field(
        None,
        description="of images: resized with their aspect kept to the size of `resize`, or the model's, with borders "
        "around them, or at the right and the bottom",
    )
    fill: Annotated[int, Field(ge=0, le=255)] | None = Field(
        None, description="of a letterbox's borders, in bytes; 114 where it is not given"
    )


class DatasetFields(Request):
    """What a data set may be given besides its bytes."""

    name: Name | None = None
    metadata: Metadata = Field(default_factory=dict)
    label: Name | None = Field(None, description="the column that holds the labels")
    preprocessing: Preprocessing | None = None
    labels: LabelsOption | None = Field(
        None, description="what the labels are; what a recipe says wins over it, field by field"
    )
    seen_by_original: SeenByOriginal | None = Field(
        None,
        description="whether the original was trained on these rows, or on which of the file's splits, as "
        '`["train", "val"]`; what a recipe says wins over it',
    )
    rows_axis: RowsAxis | None = Field(
        None,
        description="the axis on which the model's inputs, and arrays in their shape, have their rows: of all inputs, "
        'or by input, as `{"state": 1}`; null for an input that has none; what a recipe says wins over it',
    )


class Dataset(Resource):
    """An uploaded data set."""

    id: str
    object: Literal["dataset"] = "dataset"
    name: str | None
    file_name: str | None = Field(description="as the client called it; for display only")
    sha256: str
    size_bytes: int
    label: str | None
    preprocessing: dict[str, Any] | None
    labels: dict[str, Any] | None
    seen_by_original: SeenByOriginal | None
    rows_axis: RowsAxis | None
    metadata: dict[str, str]
    created_at: Timestamp
    links: FileLinks
