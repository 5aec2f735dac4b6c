"""What commands there are, and the page that lists them.

A table and plain text: what parses options and draws boxes takes longer to load than this page to print, so that each
command's own file is loaded when it is asked for.
"""

from __future__ import annotations

import shutil
import textwrap
from typing import NamedTuple

ABOUT = "ONNX in, narrower ONNX out. Without a server: compress, analyze, check. With one: serve, submit."
OPTIONS = {
    "--version": "Print the version and leave.",
    "-h, --help": "Show this message and exit.",
}
WIDTH = 100  # characters, where the terminal is wider


class Command(NamedTuple):
    """Where a command is, and the first line of what it says of itself."""

    file: str  # in this folder
    function: str
    summary: str


PANELS = {
    "On this machine": {
        "compress": Command("compress", "compress", "Compress MODEL with DATA on this machine."),
        "analyze": Command(
            "analyze",
            "analyze",
            "Show MODEL's layers of nodes, what is coupled, what stays untouched and why.",
        ),
        "check": Command(
            "check",
            "check",
            "Say how DATA is read beside MODEL, what its labels mean, and what the model knows of them.",
        ),
        "profile": Command(
            "profile", "profile", "Find the widths of layers that run at full speed here."
        ),
        "doctor": Command(
            "doctor",
            "doctor",
            "Check Python, torch, onnxruntime, the embedded queue, disk space, the limits of jobs and the GPU.",
        ),
    },
    "Run the service": {
        "serve": Command("serve", "serve", "Serve the API with a worker, until Ctrl-C."),
        "worker": Command(
            "worker",
            "worker",
            "Run jobs until stopped: from the queue at EIGENPRESS_BROKER_URL, or the one of the data directory.",
        ),
        "keys": Command(
            "keys",
            "keys",
            "Make, list, rotate and revoke the keys by which the API knows its callers.",
        ),
        "migrate": Command(
            "worker", "migrate", "Bring the database at EIGENPRESS_DATABASE_URL up to date."
        ),
        "settings": Command(
            "settings_table", "settings", "Print the table of settings as Markdown."
        ),
    },
    "Use a running service": {
        "submit": Command(
            "jobs", "submit", "Upload MODEL and DATA, submit a job, and print its id."
        ),
        "jobs": Command("jobs", "list_jobs", "List the newest jobs."),
        "watch": Command(
            "jobs", "watch", "Show a job's progress until it has ended; ends as `compress` does."
        ),
        "cancel": Command(
            "jobs", "cancel", "Ask a job to stop; it keeps the best candidate so far."
        ),
        "download": Command(
            "jobs", "download", "Download a job's model (-o) and its report (--report)."
        ),
    },
}
COMMANDS = {name: command for panel in PANELS.values() for name, command in panel.items()}


def overview() -> str:
    """Return the page that lists all commands, as wide as the terminal, `WIDTH` at most."""
    told = {panel: {name: one.summary for name, one in of.items()} for panel, of in PANELS.items()}
    lists = [_listed(title, lines) for title, lines in {"Options": OPTIONS, **told}.items()]
    return "\n\n".join(["Usage: eigenpress [OPTIONS] COMMAND [ARGS]...", _wrap(ABOUT), *lists])


def _listed(title: str, lines: dict[str, str]) -> str:
    return "\n".join([f"{title}:", *(_wrap(text, f"  {name:<12}") for name, text in lines.items())])


def _wrap(text: str, head: str = "") -> str:
    width = min(WIDTH, shutil.get_terminal_size().columns)
    return textwrap.fill(text, width, initial_indent=head, subsequent_indent=" " * len(head))
