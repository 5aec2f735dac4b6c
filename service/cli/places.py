"""Where results go: what could not be written later is refused before anything is done."""

from __future__ import annotations

import os
from pathlib import Path

from service.cli.output import Exit, fail

REPORT_SUFFIXES = {".html", ".htm", ".json", ".csv"}


def check_places(
    output: Path | None, report: Path | None, as_json: bool, keep: Path | None = None
) -> None:
    """End with WRONG_USE where --output or --report cannot be written, or would replace `keep`."""
    if report is not None and report.suffix.lower() not in REPORT_SUFFIXES:
        wanted = "--report must end in .html, .json or .csv"
        fail(f"{wanted}, not {report.suffix!r}", code=Exit.WRONG_USE, as_json=as_json)
    for name, file in (("--output", output), ("--report", report)):
        if file is None:
            continue
        if file.is_dir() or not os.access(file.resolve().parent, os.W_OK):
            fail(f"{name}: cannot write {file}", code=Exit.WRONG_USE, as_json=as_json)
        if keep is not None and file.resolve() == keep.resolve():
            fail(f"{name} would replace {keep}", code=Exit.WRONG_USE, as_json=as_json)
