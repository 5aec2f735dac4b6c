"""What a compression gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spectral_engine.errors import ModelTooLarge
from spectral_engine.records.report import CandidateEntry, Outcome, Report
from spectral_engine.work_dir import WorkDir


@dataclass(frozen=True)
class Candidate:
    """One compressed model and its entry in the report.

    It lies at `path`, and weights that do not fit in one file in those of `external`, in the same folder: that of
    the work, or one that is removed with the last candidate that holds it.
    """

    entry: CandidateEntry
    path: Path
    external: tuple[Path, ...] = ()
    folder: WorkDir | None = None

    @property
    def id(self) -> str:
        """Name of the candidate within the report."""
        return self.entry.id

    @property
    def model_bytes(self) -> bytes:
        """The ONNX file; raises ModelTooLarge where its weights do not fit in."""
        if self.external:
            raise ModelTooLarge("the weights do not fit in one file: save() writes them beside it")
        return self.path.read_bytes()

    def save(self, path: str | Path) -> Path:
        """Write the ONNX file, and weights that do not fit in it as `NAME.data` beside it."""
        from spectral_engine.onnx_io.save import copy_files

        return copy_files(self.path, self.external, Path(path))[0]


@dataclass(frozen=True)
class ReportFile:
    """The report, and how to write it."""

    data: Report

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return self.data.model_dump_json(indent=1)

    def save(self, path: str | Path) -> Path:
        """Write it as HTML, JSON or CSV (the relevance table), by the name's ending."""
        target = Path(path)
        target.write_text(self._render(target.suffix.lower()), encoding="utf-8")
        return target

    def _render(self, suffix: str) -> str:
        if suffix == ".json":
            return self.to_json()
        if suffix == ".csv":
            from spectral_engine.report.csv import relevance_csv

            return relevance_csv(self.data)
        if suffix in {".html", ".htm"}:
            from spectral_engine.report.html import render

            return render(self.data)
        raise ValueError(f"a report is .html, .json or .csv, not {suffix!r}")


@dataclass(frozen=True)
class Result:
    """Candidates from wide to narrow, the chosen one, and the report."""

    candidates: tuple[Candidate, ...]
    report: ReportFile

    @property
    def chosen(self) -> Candidate:
        """The candidate that best meets the target."""
        return next(item for item in self.candidates if item.id == self.report.data.chosen)

    @property
    def outcome(self) -> Outcome:
        """Whether the target was met."""
        return self.report.data.outcome
