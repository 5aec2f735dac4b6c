"""How labels stand in a file, where reading it tells: boxes of a known form, rows in pairs."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_engine.data.boxes import BoxForm


@dataclass(frozen=True)
class Written:
    """What reading a file tells of its labels: `paired` rows 2i and 2i + 1 share label i; `boxes` have this form."""

    paired: bool = False
    boxes: BoxForm | None = None
    class_names: tuple[str, ...] | None = None
    class_numbers: tuple[int, ...] | None = (
        None  # in the file, of classes that labels have by their places
    )
    crowds: bool = False  # whether box classes below −1 are regions to ignore


UNKNOWN = Written()
