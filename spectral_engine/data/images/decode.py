"""One image file to pixels of the size and the channels that a model takes, with Pillow."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from spectral_engine.data.images.archive import broken, shown
from spectral_engine.data.preprocessing import Preprocessing
from spectral_engine.errors import DatasetMismatch

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
MOST_PIXELS = 100_000_000
Size = tuple[int, int]  # height, width
Pixels = NDArray[np.uint8]


@dataclass
class Decoder:
    """Decodes images to uint8 [height, width, channels], and counts what it had to change.

    `size` is that of the model, or None where it is free; `preprocessing` may resize and crop before.
    """

    channels: int
    size: Size | None
    preprocessing: Preprocessing
    converted: Counter[str] = field(default_factory=Counter)
    resized: Counter[Size] = field(default_factory=Counter)

    def __call__(self, name: str, content: bytes) -> Pixels:
        """Return the pixels; raises DatasetMismatch that names the file."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # of odd metadata, and of sizes that are looked at below
                with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                    _refuse_huge(name, image)
                    pixels = self._pixels(ImageOps.exif_transpose(image))
        except DatasetMismatch:
            raise
        except (
            OSError,
            ValueError,
            SyntaxError,
            TypeError,
            IndexError,
            KeyError,
            Image.DecompressionBombError,
        ) as error:
            raise broken(name, f"it is not a whole image: {error}") from error
        except (EOFError, OverflowError, ZeroDivisionError, AttributeError, RuntimeError) as error:
            raise broken(
                name, f"it is not a whole image: {type(error).__name__} {error}"
            ) from error
        if self.size is not None and pixels.shape[:2] != self.size:
            raise DatasetMismatch(
                f"{shown(name)} has {_said(pixels.shape[:2])} pixels after preprocessing, and the model takes "
                f"{_said(self.size)}: say both sides in resize, or add a crop",
                pointer="#/preprocessing/resize",
            )
        return pixels

    def _pixels(self, image: Image.Image) -> Pixels:
        found = self._placed(self._converted(image))
        array = np.asarray(found, dtype=np.uint8)
        array = array.reshape(*array.shape[:2], self.channels)
        bgr = self.preprocessing.channels == "bgr" and self.channels == 3
        return array[:, :, ::-1] if bgr else array

    def _converted(self, image: Image.Image) -> Image.Image:
        mode = MODES[self.channels]
        if image.mode == mode:
            return image
        self.converted[f"{image.mode} to {mode}"] += 1
        if image.mode.startswith("I") or image.mode == "F":  # 16 bits: the upper eight are taken
            values = np.asarray(image, dtype=np.float64)
            image = Image.fromarray((values / 256).clip(0, 255).astype(np.uint8))
        return image.convert(mode)

    def _placed(self, image: Image.Image) -> Image.Image:
        asked = self.preprocessing
        if asked.resize is not None:
            image = _resized(image, asked.resize)
        if asked.crop is not None:
            image = _cropped(image, asked.crop)
        size = (image.height, image.width)
        if asked.resize is None and asked.crop is None and self.size not in {None, size}:
            assert self.size is not None
            self.resized[size] += 1
            image = _scaled(image, self.size)
        return image


def _resized(image: Image.Image, asked: int | tuple[int, int]) -> Image.Image:
    """One number is the shorter side; two are height and width."""
    if not isinstance(asked, int):
        return _scaled(image, asked)
    factor = asked / min(image.height, image.width)
    return _scaled(
        image, (max(asked, int(image.height * factor)), max(asked, int(image.width * factor)))
    )


def _scaled(image: Image.Image, size: Size) -> Image.Image:
    if (image.height, image.width) == size:
        return image
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def _cropped(image: Image.Image, asked: int | tuple[int, int]) -> Image.Image:
    """Cut the middle out; what is smaller gets black borders."""
    height, width = (asked, asked) if isinstance(asked, int) else asked
    top, left = round((image.height - height) / 2), round((image.width - width) / 2)
    return image.crop((left, top, left + width, top + height))


def _refuse_huge(name: str, image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise DatasetMismatch(
            f"{shown(name)} declares {_said((image.height, image.width))} pixels; at most {MOST_PIXELS:,} are read",
            pointer="#/file",
        )


def _said(size: tuple[int, ...]) -> str:
    return " × ".join(map(str, size))
