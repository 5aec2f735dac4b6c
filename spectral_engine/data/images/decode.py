"""One file to pixels: decoded, turned upright, and with as many channels as the model takes."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from spectral_engine.data.images.names import pointer_to
from spectral_engine.errors import DatasetMismatch

Pixels = NDArray[np.uint8]
MOST_PIXELS = 89_478_485  # beyond which Pillow too suspects a bomb
# Formats that hold nothing but pixels: PostScript and metafiles are programs.
FORMATS = (
    "JPEG",
    "PNG",
    "BMP",
    "DIB",
    "GIF",
    "TIFF",
    "WEBP",
    "AVIF",
    "JPEG2000",
    "PPM",
    "TGA",
    "ICO",
    "MPO",
)
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
WITH_ALPHA = {"RGBA", "LA", "PA", "RGBa", "La"}


class CannotDecode(Exception):
    """Why a file is no image that can be used; the words follow its name."""


def decode(content: bytes, channels: int, said: Callable[[str], None]) -> Image.Image:
    """Return an upright 8-bit image of mode L, RGB or RGBA; `said` is told what was done to get there.

    Raises CannotDecode.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_formats()) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise CannotDecode(_too_many(width * height))
            if getattr(image, "is_animated", False):
                said("the first of several frames is taken")
            image.load()
            return _with_channels(_upright(image, said), channels, said)
    except CannotDecode:
        raise
    except Image.DecompressionBombError as error:
        raise CannotDecode(_too_many(None)) from error
    # Decoders raise whatever a damaged file makes them stumble over.
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise CannotDecode(
            f"cannot be decoded ({reason})" if _tells(reason) else "cannot be decoded"
        ) from error


def refused(name: str, why: str) -> DatasetMismatch:
    """Return the error of one image."""
    return DatasetMismatch(f"{name}: {why}", pointer=pointer_to(name))


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _tells(reason: str) -> bool:
    return bool(reason) and "BytesIO" not in reason


def _too_many(pixels: int | None) -> str:
    count = "" if pixels is None else f"{pixels:,}, "
    return f"has too many pixels ({count}at most {MOST_PIXELS:,} are allowed): make it smaller"


def _upright(image: Image.Image, said: Callable[[str], None]) -> Image.Image:
    try:
        if image.getexif().get(0x0112, 1) in range(2, 9):
            said("turned as the EXIF orientation says")
            return ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        said("the EXIF data are damaged, and not heeded")
    return image


def _with_channels(image: Image.Image, channels: int, said: Callable[[str], None]) -> Image.Image:
    wanted = MODES[channels]
    if image.mode[0] in "IF" or image.mode.startswith("I;"):
        image = _in_bytes(image, said)
    if image.mode in {"P", "PA"}:
        said("colours are read from the palette")
        transparent = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
    elif image.mode == "RGB" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == wanted:
        return image
    if image.mode in WITH_ALPHA and channels < 4:
        said("transparency is left out")
    if image.mode not in {"1", "L", "RGB", "LA", "RGBA"}:
        said(f"{image.mode} is converted to RGB")
        image = image.convert("RGBA" if image.mode in WITH_ALPHA else "RGB")
    if channels == 1 and image.mode in {"RGB", "RGBA"}:
        said("colours are turned into grey")
    if channels > 1 and image.mode in {"1", "L", "LA"}:
        said("grey is repeated for red, green and blue")
    if channels == 4 and image.mode not in WITH_ALPHA:
        said("an opaque alpha channel is added")
    return image.convert(wanted)


def _in_bytes(image: Image.Image, said: Callable[[str], None]) -> Image.Image:
    """Return pixels of 16 bits as 8: 65,535 becomes 255."""
    values: NDArray[Any] = np.asarray(image)
    if image.mode == "F" or values.min(initial=0) < 0 or values.max(initial=0) > 65_535:
        raise CannotDecode(
            f"holds pixels of more than 16 bits (mode {image.mode}): give an .npz file of arrays"
        )
    said("16 bits for each pixel are read as 8")
    return Image.fromarray((values.astype(np.float32) / 257).round().astype(np.uint8))
