"""What is done to the data before the model sees them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
Side = Annotated[int, Field(ge=1, le=16_384)]


class Preprocessing(BaseModel):
    """Images are resized and cropped; then x · scale, (x − mean) / std per channel, and the model's layout."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: float = 1.0
    mean: float | list[float] = 0.0
    std: float | list[float] = Field(1.0)
    layout: Literal["as_is", "nchw", "nhwc"] = "as_is"
    resize: Side | tuple[Side, Side] | None = Field(
        None, description="of image files: the shorter side, or height and width"
    )
    crop: Side | tuple[Side, Side] | None = Field(
        None, description="of image files: the middle, after resize"
    )
    channels: Literal["rgb", "bgr"] = Field("rgb", description="order, of image files")
    reshape: list[int] | None = Field(None, description="shape of one row")

    def apply(self, array: Array, spec: InputSpec) -> Array:
        """Return rows in the model's type and shape."""
        rows: Array = array.astype(np.float32) * np.float32(self.scale)
        rows = self._normalised(rows)
        if self.layout == "nchw" and rows.ndim == 4:
            rows = rows.transpose(0, 3, 1, 2)
        elif self.layout == "nhwc" and rows.ndim == 4:
            rows = rows.transpose(0, 2, 3, 1)
        if self.reshape is not None:
            rows = rows.reshape(len(rows), *self.reshape)
        return np.ascontiguousarray(rows, dtype=spec.dtype)

    def then(self, more: dict[str, Any]) -> dict[str, Any]:
        """Return what to pass so that the values of today are changed once more, as `more` says."""
        next_ = Preprocessing.model_validate(more)
        mean, std = np.asarray(self.mean, np.float64), np.asarray(self.std, np.float64)
        composed = {
            "scale": _plain(self.scale * next_.scale),
            "mean": _plain(mean * next_.scale + np.asarray(next_.mean, np.float64) * std),
            "std": _plain(std * np.asarray(next_.std, np.float64)),
        }
        kept = self.model_dump(mode="json", exclude_defaults=True)
        changed = {
            name: value
            for name, value in composed.items()
            if name in more or name in kept or value != Preprocessing.model_fields[name].default
        }
        return kept | more | changed

    def _normalised(self, rows: Array) -> Array:
        """Channels stand last before a change to nchw, and second otherwise."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        if (std == 0).any():
            raise DatasetMismatch("std must not be 0", pointer="#/preprocessing/std")
        if max(mean.size, std.size) > 1 and rows.ndim == 4 and self.layout != "nchw":
            mean, std = (v.reshape(-1, 1, 1) if v.size > 1 else v for v in (mean, std))
        try:
            result: Array = (rows - mean) / std
        except ValueError as error:
            raise DatasetMismatch(
                f"mean and std do not fit rows of shape {rows.shape[1:]}",
                pointer="#/preprocessing/mean",
            ) from error
        return result


def _plain(values: Any) -> float | list[float]:
    """Return numbers as a person would write them."""
    rounded = [float(f"{value:.6g}") for value in np.ravel(values)]
    return rounded if np.ndim(values) else rounded[0]
