"""What is done to the data before the model sees them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]


class Preprocessing(BaseModel):
    """x · scale, then (x − mean) / std per channel, then the layout that the model wants."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: float = 1.0
    mean: float | list[float] = 0.0
    std: float | list[float] = Field(1.0)
    layout: Literal["as_is", "nchw", "nhwc"] = "as_is"
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
