"""Writes the files of all nets that the repository holds: python -m examples.specimens.zoo"""

from pathlib import Path

import onnx

from examples.specimens.zoo import every
from examples.specimens.zoo.keeping import EXPORTED

ROOT = Path(__file__).parents[3]


def main() -> None:
    EXPORTED.mkdir(exist_ok=True)
    files = dict(every())
    for name, come_by in files.items():
        (EXPORTED / name).write_bytes(without_paths(come_by().model))
    for path in EXPORTED.iterdir():
        if path.name not in files:
            path.unlink()


def without_paths(model: bytes) -> bytes:
    """Return the file without where this checkout lies, which an exporter tells with every node."""
    proto = onnx.load_from_string(model)
    for node in proto.graph.node:
        for told in node.metadata_props:
            told.value = told.value.replace(f"{ROOT}/", "")
    return proto.SerializeToString()


if __name__ == "__main__":
    main()
