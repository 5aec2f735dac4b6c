"""Writes the files of all nets that the repository holds: python -m examples.specimens.zoo"""

from pathlib import Path

import onnx

from examples.specimens.zoo import EXPORTERS, NETS, specimen
from examples.specimens.zoo.keeping import EXPORTED, kept_name

ROOT = Path(__file__).parents[3]


def main() -> None:
    EXPORTED.mkdir(exist_ok=True)
    current = set()
    for name, (make, _) in NETS.items():
        for exporter in EXPORTERS:
            path = EXPORTED / kept_name(f"{name}-{exporter}", make.__module__)
            current.add(path)
            path.write_bytes(without_paths(specimen(name, exporter).model))
    for path in set(EXPORTED.iterdir()) - current:
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
