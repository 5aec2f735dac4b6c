"""Letterboxes: an image keeps its aspect, and borders fill what is left of the model's height and width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL import Image

Sides = tuple[int, int]


@dataclass(frozen=True)
class Placement:
    """Where an image lies in what the model sees: x and y of its corner, and its sides, in shares of the whole."""

    offset: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)


WHOLE = Placement()


def placement(size: Sides, box: Sides, how: Literal["centre", "corner"]) -> Placement:
    """Place an image in a box, both given by width and height, as large as it fits, in whole pixels."""
    ratio = min(box[0] / size[0], box[1] / size[1])
    inner = [max(1, round(side * ratio)) for side in size]
    left = [
        (whole - side) // 2 if how == "centre" else 0
        for whole, side in zip(box, inner, strict=True)
    ]
    return Placement((left[0] / box[0], left[1] / box[1]), (inner[0] / box[0], inner[1] / box[1]))


def letterboxed(image: Image.Image, region: Placement, box: Sides, fill: int) -> Image.Image:
    """Return the image in a box of this width and height, with borders of this grey; alpha is opaque there."""
    (left, top), (width, height) = (
        [round(share * side) for share, side in zip(shares, box, strict=True)]
        for shares in (region.offset, region.scale)
    )
    bands = len(image.getbands())
    grey = (fill,) * min(bands, 3) + (255,) * (bands - 3)
    canvas = Image.new(image.mode, box, grey if bands > 1 else fill)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    canvas.paste(resized, (left, top))
    return canvas
