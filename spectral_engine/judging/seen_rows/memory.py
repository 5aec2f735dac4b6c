"""What is known of the original's memory before candidates are judged."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_engine.judging.seen_rows.rehearsal import Rehearsal
from spectral_engine.records.seen_rows import MemorySign, Reading


@dataclass(frozen=True)
class Memory:
    """What is said of the held-out rows, which parts are said to be seen, and the sign where nothing is said."""

    said: bool | None
    parts: tuple[str, ...] = ()
    sign: MemorySign | None = None
    rehearsal: Rehearsal | None = None

    @property
    def suspected(self) -> bool:
        """True where nothing is said, and a sign was found."""
        return self.said is None and self.sign is not None and self.sign.found

    @property
    def assumed(self) -> Reading:
        """How the rows are read: as unseen, but where it is said that they were seen."""
        return "seen" if self.said else "unseen"
