"""How a pattern of links is written: "unstructured", "2:4", "block:4x4". Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

UNSTRUCTURED = "unstructured"
WRITTEN = r"^(unstructured|[1-9]\d{0,3}:[1-9]\d{0,3}|block:[1-9]\d{0,2}x[1-9]\d{0,2})$"


@dataclass(frozen=True)
class Pattern:
    """Where links may stand.

    - unstructured: anywhere.
    - n:m: at most `kept` of every `group` consecutive inputs of a node (Zhou et al., ICLR 2021), at each place of a
      kernel; a last, shorter group keeps at most `kept` as well.
    - block: in whole rectangles of `rows` output nodes by `columns` input nodes, at each place of a kernel.
    """

    kind: Literal["unstructured", "n:m", "block"]
    kept: int = 1
    group: int = 1
    rows: int = 1
    columns: int = 1

    @property
    def share(self) -> float | None:
        """The density that the pattern itself prescribes: N / M."""
        return self.kept / self.group if self.kind == "n:m" else None

    @property
    def grain(self) -> tuple[int, int]:
        """How many consecutive output and input nodes must go together for the pattern to stay whole."""
        return (self.rows, self.group if self.kind == "n:m" else self.columns)


def parse_pattern(text: str) -> Pattern:
    """Read a pattern; raises ValueError where it is none.

    >>> parse_pattern("2:4").share
    0.5
    """
    if not re.fullmatch(WRITTEN, text):
        raise ValueError(f"{text!r} is no pattern: write unstructured, N:M or block:RxC")
    if text == UNSTRUCTURED:
        return Pattern("unstructured")
    first, second = (int(number) for number in re.findall(r"\d+", text))
    if text.startswith("block:"):
        return Pattern("block", rows=first, columns=second)
    if first > second:
        raise ValueError(f"{text!r} keeps more links than there are")
    return Pattern("n:m", kept=first, group=second)
