"""Exported files, kept beside this code: exporters need seconds a net, and every process asks for the same ones.

`exported/` is part of the repository (`python -m examples.specimens.zoo` writes it anew); what it does not hold, as
while a net is being changed, is kept in `.cache/`.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
EXPORTED, CACHE = FOLDER / "exported", FOLDER / ".cache"
EXPORTED_BY = ("torch", "onnx", "onnxscript")
OF_THE_ZOO = re.compile(rf"^from {__package__}\.(\w+) import", re.MULTILINE)


def kept(file_name: str, make: Callable[[], bytes]) -> bytes:
    """Return a file that was made by the same code and the same exporters before, or make it."""
    for folder in (EXPORTED, CACHE):
        if (folder / file_name).exists():
            return (folder / file_name).read_bytes()
    made = make()
    CACHE.mkdir(exist_ok=True)
    handle, part = tempfile.mkstemp(dir=CACHE)
    with os.fdopen(handle, "wb") as file:
        file.write(made)
    Path(part).replace(CACHE / file_name)  # whole or not at all, for all processes
    return made


def kept_name(name: str, family: str) -> str:
    """Return what a net's file is called: other code or another exporter, another name.

    `family` is the module of the zoo that holds the net.
    """
    return f"{name}.{_digest(family.rsplit('.', 1)[-1])}.onnx"


@cache
def _digest(family: str) -> str:
    """Return a digest of all that decides what is exported of one family of nets."""
    digest = hashlib.sha256()
    for package in EXPORTED_BY:
        digest.update(f"{package} {version(package)};".encode())
    for source in sorted(_read(family) | {"exporting"}):
        digest.update((FOLDER / f"{source}.py").read_bytes())
    return digest.hexdigest()[:12]


def _read(family: str) -> set[str]:
    """Return the modules of the zoo that a family is made of."""
    text = (FOLDER / f"{family}.py").read_text()
    return {family}.union(*(_read(other) for other in OF_THE_ZOO.findall(text)))
