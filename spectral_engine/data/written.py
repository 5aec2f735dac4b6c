"""How labels stand in a file, where reading it tells: boxes of a known form, rows in pairs."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_engine.labels import Corners


@dataclass(frozen=True)
class BoxForm:
    """How the five numbers of a box are written: its corners, in shares of the image or pixels, and its class."""

    corners: Corners = "xyxy"
    shares: bool = False
    class_first: bool = False

    def describe(self) -> str:
        """Return the form in words."""
        words = {
            "xyxy": "two corners",
            "xywh": "corner and size",
            "cxcywh": "centre and size",
        }[self.corners]
        scale = "shares of the image" if self.shares else "pixels"
        order = "class first" if self.class_first else "class last"
        return f"{words} in {scale}, {order}"


@dataclass(frozen=True)
class Written:
    """What reading a file tells of its labels: `paired` rows 2i and 2i + 1 share label i; `boxes` have this form."""

    paired: bool = False
    boxes: BoxForm | None = None
    class_names: tuple[str, ...] | None = None


UNKNOWN = Written()
