"""What is done to the data before the model sees them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch, InvalidRequest

Array = NDArray[Any]
Pixels = Annotated[int, Field(ge=1, le=16_384)]


class Preprocessing(BaseModel):
    """x · scale, then (x − mean) / std per channel, then the layout that the model wants.

    Images are resized and cropped before; their bytes are multiplied with 1/255 where no scale is given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: float = 1.0
    mean: float | list[float] = 0.0
    std: float | list[float] = Field(1.0)
    layout: Literal["as_is", "nchw", "nhwc"] = "as_is"
    reshape: list[int] | None = Field(None, description="shape of one row")
    resize: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="of images: the shorter side, or height and width"
    )
    crop: Pixels | tuple[Pixels, Pixels] | None = Field(
        None, description="of images, out of the middle: one side of a square, or height and width"
    )
    letterbox: Literal["centre", "corner"] | None = Field(
        None,
        description="of images: resized with their aspect kept to the size of `resize`, or the model's, with borders "
        "around them, or at the right and the bottom",
    )
    fill: int = Field(
        114, ge=0, le=255, description="of the borders, in bytes; ultralytics has 114"
    )

    def apply(self, array: Array, spec: InputSpec) -> Array:
        """Return rows in the model's type and shape."""
        rows: Array = array.astype(np.float32) * np.float32(self.scale)
        rows = self._normalised(rows)
        if self.layout == "nchw" and rows.ndim == 4:
            rows = rows.transpose(0, 3, 1, 2)
        elif self.layout == "nhwc" and rows.ndim == 4:
            rows = rows.transpose(0, 2, 3, 1)
        if self.reshape is not None:
            rows = self._reshaped(rows, self.reshape)
        return np.ascontiguousarray(rows, dtype=spec.dtype)

    def _reshaped(self, rows: Array, shape: list[int]) -> Array:
        try:
            reshaped: Array = rows.reshape(len(rows), *shape)
        except ValueError as error:
            raise DatasetMismatch(
                f"rows of shape {list(rows.shape[1:])} cannot be laid out as {shape}",
                pointer="#/preprocessing/reshape",
            ) from error
        return reshaped

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

    def refuse_for_numbers(self) -> None:
        """Raise InvalidRequest where something is said that only images can be."""
        for name in ("resize", "crop", "letterbox"):
            if getattr(self, name) is not None:
                raise InvalidRequest(
                    f"{name} is for images, and these are numbers",
                    pointer=f"#/preprocessing/{name}",
                )

    def of_pixels(self, pixels: Array) -> Array:
        """Return pixels [height, width, channels] of 0…255 as the values that the model takes."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        values: Array = (pixels.astype(np.float32) * np.float32(self._pixel_scale) - mean) / std
        return values

    def range_of_pixels(self) -> str:
        """Return what the values of pixels are, in words."""
        if (self.mean, self.std) == (0.0, 1.0):
            return {1 / 255: "0…1", 1.0: "0…255"}.get(
                self._pixel_scale, f"0…{self._pixel_scale * 255:g}"
            )
        return f"(x · {self._pixel_scale:.6g} − {self.mean}) / {self.std}"

    def for_pixels(self) -> Preprocessing:
        """Return the same with the scale of pixels said."""
        return self.model_copy(update={"scale": self._pixel_scale})

    def followed_by(self, option: dict[str, Any]) -> dict[str, Any]:
        """Return the option that does what this one does, and then another one: what to pass in place of both.

        ((x · s − m) / d · s′ − m′) / d′ = (x · s − (m + m′d/s′)) / (d d′/s′)
        """
        done = self.model_dump(exclude_unset=True)
        if not {"scale", "mean", "std"} & option.keys():
            return {**done, **option}
        scale = float(option.get("scale", 1.0))
        mean, std = (np.asarray(option.get(k, v), np.float64) for k, v in (("mean", 0), ("std", 1)))
        first_mean, first_std = np.asarray(self.mean), np.asarray(self.std)
        if not first_mean.any() and first_std.size == 1:
            both = {"scale": self.scale * scale / float(first_std), "mean": mean, "std": std}
        else:
            first_std = first_std / scale
            both = {
                "scale": self.scale,
                "mean": first_mean + mean * first_std,
                "std": first_std * std,
            }
        usual = {"mean": 0.0, "std": 1.0} | ({} if "scale" in done else {"scale": 1.0})
        said = {name: _short(value) for name, value in both.items()}
        kept = {name: value for name, value in said.items() if usual.get(name) != value}
        return {**{n: v for n, v in done.items() if n not in both}, **kept}

    @property
    def _pixel_scale(self) -> float:
        return self.scale if "scale" in self.model_fields_set else 1 / 255

    def check_channels(self, channels: int) -> None:
        """Raise InvalidRequest where mean and std do not fit images of so many channels, or are no usable numbers."""
        for name in ("scale", "mean", "std"):
            values = np.atleast_1d(np.asarray(getattr(self, name), np.float32))
            if values.size not in {1, channels}:
                raise InvalidRequest(
                    f"{name} has {values.size} values, and images have {channels} channels",
                    pointer=f"#/preprocessing/{name}",
                )
            if not np.isfinite(values).all() or (name == "std" and (values == 0).any()):
                raise InvalidRequest(
                    f"{name} must be finite" + (" and not 0" if name == "std" else ""),
                    pointer=f"#/preprocessing/{name}",
                )


def _short(value: Any) -> float | list[float]:
    """Return numbers with six digits, as a person would pass them."""
    rounded = [float(f"{one:.6g}") for one in np.atleast_1d(value)]
    return rounded[0] if np.size(value) == 1 else rounded
