"""Progress on stderr: a bar in a terminal, a line per tenth anywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)


class StageBar:
    """Shows one piece of work, told by stage and fraction."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self._bar = Progress(
            TextColumn("{task.description:<19}"),
            BarColumn(bar_width=32),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=1.0, note="")
        self._told = -1  # tenths
        self._stage = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(
        self,
        stage: str,
        fraction: float,
        *,
        eta_seconds: float | None = None,
        metrics: dict[str, float] | None = None,
    ) -> None:
        """Move the bar to `fraction` in 0..1."""
        words = stage.replace("_", " ")
        if int(fraction * 10) > self._told and not self.console.is_terminal:
            self._told = int(fraction * 10)
            self.console.print(f"{fraction:4.0%} {words}", highlight=False)
        note = " ".join(f"{name} {value:.4g}" for name, value in (metrics or {}).items())
        if eta_seconds is not None:
            note = f"{_left(eta_seconds)} left  {note}"
        # A new stage is shown at once: a short one would fall between two refreshes.
        new = words != self._stage
        self._bar.update(self._task, description=words, completed=fraction, note=note, refresh=new)
        self._stage = words

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, highlight=False, markup=False)


def _left(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
