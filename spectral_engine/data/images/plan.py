"""What becomes of every image: its size, its channels, and the order of its axes in the model's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spectral_engine.data.checks import matches
from spectral_engine.data.images.decode import CannotDecode
from spectral_engine.data.images.letterbox import WHOLE, Placement, letterboxed, placement
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch, InvalidRequest

Layout = Literal["nchw", "nhwc"]
Sizes = tuple[int | None, ...]
BYTE = np.float32(1 / 255)


@dataclass(frozen=True)
class Axes:
    """How a row of the input lies: channels first or last; None for a size that is free.

    `flat` is the number of values of a row without axes of height and width, and channels are then unknown.
    """

    layout: Layout
    channels: int | None
    height: int | None
    width: int | None
    flat: int | None = None


@dataclass(frozen=True)
class Plan:
    """The same for all images: [height, width, channels] in bytes, and from there to a row of the input."""

    spec: InputSpec
    preprocessing: Preprocessing
    layout: Layout
    channels: int
    height: int
    width: int
    stretched: bool  # to the model's size, since nothing else was said

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row of the input."""
        if self.preprocessing.reshape is not None:
            return tuple(self.preprocessing.reshape)
        wanted = self.spec.row_shape
        if len(wanted) == 1:
            return (self.height * self.width * self.channels,)
        if len(wanted) == 2:
            return (self.height, self.width)
        if self.layout == "nchw":
            return (self.channels, self.height, self.width)
        return (self.height, self.width, self.channels)

    def placed(self, size: tuple[int, int]) -> Placement:
        """Say where an image of this width and height comes to lie."""
        how = self.preprocessing.letterbox
        return WHOLE if how is None else placement(size, (self.width, self.height), how)

    def fitted(self, image: Image.Image) -> Image.Image:
        """Return the image in its size; raises CannotDecode where it has another one."""
        if self.preprocessing.letterbox is not None:
            region = self.placed(image.size)
            return letterboxed(image, region, (self.width, self.height), self.preprocessing.fill)
        if self.stretched:
            return stretched(image, (self.height, self.width))
        image = sized(image, self.preprocessing)
        if image.size != (self.width, self.height):
            raise CannotDecode(
                f"is {image.height} × {image.width} where {self.height} × {self.width} is needed: "
                f"{remedy(self.height, self.width)}"
            )
        return image

    def row(self, image: Image.Image) -> NDArray[Any]:
        """Return a row of the input, of an image that is fitted."""
        pixels: NDArray[Any] = np.asarray(image).reshape(self.height, self.width, self.channels)
        if self.spec.dtype.kind == "f":
            pixels = self.preprocessing.of_pixels(pixels)
        if self.layout == "nchw":
            pixels = pixels.transpose(2, 0, 1)
        return pixels.astype(self.spec.dtype).reshape(self.row_shape)

    def describe(self) -> str:
        """Return what was done, in words."""
        kind = {1: "grey", 3: "RGB", 4: "RGBA"}[self.channels]
        values = "0…255" if self.spec.dtype.kind != "f" else self.preprocessing.range_of_pixels()
        return f"images are read as {kind}, {self.height} × {self.width}, {values}, as {list(self.row_shape)}"


def remedy(height: int | str, width: int | str) -> str:
    """Return what to pass so that all images have one size."""
    return f'pass preprocessing {{"resize": [{height}, {width}]}}'


def axes_of(spec: InputSpec, preprocessing: Preprocessing) -> Axes:
    """Say where a model has its channels; raises DatasetMismatch where it takes no images, or does not tell."""
    shape = spec.row_shape
    if spec.dtype.kind not in "fiu" or spec.dtype == np.int8:
        raise DatasetMismatch(
            f"input {spec.name!r} takes {spec.dtype.name}, which no pixels are", pointer="#/file"
        )
    said = None if preprocessing.layout == "as_is" else preprocessing.layout
    if preprocessing.reshape is not None or len(shape) == 1:
        count = spec.row_elements or int(np.prod(preprocessing.reshape or [0]))
        return Axes(said or "nchw", None, None, None, flat=count)
    if len(shape) == 2:
        return Axes(said or "nchw", 1, shape[0], shape[1])
    if len(shape) != 3:
        raise DatasetMismatch(
            f"input {spec.name!r} takes {spec.describe()}, and an image has height, width and channels",
            pointer="#/file",
        )
    layout = said or _layout(spec)
    channels, height, width = shape if layout == "nchw" else (shape[2], *shape[:2])
    if channels not in {None, 1, 3, 4}:
        raise DatasetMismatch(
            f"input {spec.name!r} takes {spec.describe()}: images have 1, 3 or 4 channels, not {channels}",
            pointer="#/preprocessing/layout" if said else "#/file",
        )
    return Axes(layout, channels or 3, height, width)


def _layout(spec: InputSpec) -> Layout:
    first, last = spec.row_shape[0], spec.row_shape[-1]
    for usual in ({1, 3}, {4}):
        if (first in usual) != (last in usual):
            return "nchw" if first in usual else "nhwc"
    raise DatasetMismatch(
        f"input {spec.name!r} takes {spec.describe()}, which does not tell where the channels are: "
        'pass preprocessing {"layout": "nchw"} or {"layout": "nhwc"}, as the model takes them',
        pointer="#/preprocessing/layout",
    )


def plan_for(spec: InputSpec, preprocessing: Preprocessing, first: Image.Image) -> Plan:
    """Lay out what becomes of images of which `first` is one; raises DatasetMismatch or InvalidRequest."""
    axes = axes_of(spec, preprocessing)
    _check_letterbox(axes, preprocessing)
    said = preprocessing.resize is not None or preprocessing.crop is not None
    height, width = axes.height, axes.width
    fixed = height is not None and width is not None
    if height is None or width is None or said:
        try:
            width, height = sized(first, preprocessing).size
        except CannotDecode as error:
            raise DatasetMismatch(
                f"the first image {error}", pointer="#/preprocessing/crop"
            ) from error
    _check_size(spec, axes, (height, width), said=said)
    channels = axes.channels or _channels_of_flat(spec, axes.flat or 0, height * width)
    if axes.flat and channels > 1 and preprocessing.layout == "as_is":
        raise DatasetMismatch(
            f"input {spec.name!r} takes {spec.describe()}, which does not tell the order of pixels and channels: "
            'pass preprocessing {"layout": "nchw"} or {"layout": "nhwc"}',
            pointer="#/preprocessing/layout",
        )
    preprocessing.check_channels(channels)
    plan = Plan(spec, preprocessing, axes.layout, channels, height, width, fixed and not said)
    if not matches(plan.row_shape, spec.row_shape):
        raise InvalidRequest(
            f"images would be rows of shape {list(plan.row_shape)}, and input {spec.name!r} takes {spec.describe()}",
            pointer="#/preprocessing/reshape",
        )
    return plan


def _check_letterbox(axes: Axes, preprocessing: Preprocessing) -> None:
    if preprocessing.letterbox is None:
        return
    if preprocessing.crop is not None:
        raise InvalidRequest(
            "a crop after a letterbox would take its borders away: pass one of both",
            pointer="#/preprocessing/crop",
        )
    free = axes.height is None or axes.width is None
    if isinstance(preprocessing.resize, int) or (preprocessing.resize is None and free):
        raise InvalidRequest(
            'a letterbox has a height and a width: pass preprocessing {"resize": [height, width]} with it',
            pointer="#/preprocessing/resize",
        )


def _check_size(spec: InputSpec, axes: Axes, size: tuple[int, int], *, said: bool) -> None:
    for wanted, given in zip((axes.height, axes.width), size, strict=True):
        if wanted not in {None, given}:
            height, width = axes.height or size[0], axes.width or size[1]
            option = remedy(height, width)
            if said:
                option += f', or {{"crop": [{height}, {width}]}} after a resize'
            raise InvalidRequest(
                f"images are {size[0]} × {size[1]}, and input {spec.name!r} takes {spec.describe()}: {option}",
                pointer="#/preprocessing/resize",
            )


def _channels_of_flat(spec: InputSpec, count: int, pixels: int) -> int:
    for channels in (1, 3, 4):
        if pixels * channels == count:
            return channels
    raise DatasetMismatch(
        f"input {spec.name!r} takes {spec.describe()}, and images of {pixels:,} pixels do not make {count:,} values: "
        + remedy("height", "width"),
        pointer="#/preprocessing/resize",
    )


def sized(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Resize and crop as the preprocessing says; raises CannotDecode where a crop is larger than the image."""
    if isinstance(preprocessing.resize, int):
        image = _shorter_side(image, preprocessing.resize)
    elif preprocessing.resize is not None:
        image = stretched(image, preprocessing.resize)
    if preprocessing.crop is None:
        return image
    crop = preprocessing.crop
    height, width = (crop, crop) if isinstance(crop, int) else crop
    if image.height < height or image.width < width:
        raise CannotDecode(
            f"is {image.height} × {image.width}, smaller than the crop of {height} × {width}: resize it first"
        )
    # Halves are rounded to even, as torchvision does.
    top, left = round((image.height - height) / 2), round((image.width - width) / 2)
    return image.crop((left, top, left + width, top + height))


def stretched(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the image in a size [height, width], whatever its aspect was."""
    wanted = (size[1], size[0])
    return image if image.size == wanted else image.resize(wanted, Image.Resampling.BILINEAR)


def _shorter_side(image: Image.Image, size: int) -> Image.Image:
    """Return the image with `size` pixels along its shorter side, and its aspect kept."""
    height, width = image.height, image.width
    if height <= width:
        return stretched(image, (size, max(1, int(size * width / height))))
    return stretched(image, (max(1, int(size * height / width)), size))
