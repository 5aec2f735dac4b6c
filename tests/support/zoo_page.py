"""Every net of the zoo from both exporters: imported, narrowed to half its cost, and how far each step agrees.

    python -m tests.support.zoo_page [--write]

`--write` puts the table into docs/zoo.md.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from examples.specimens.zoo import (
    EXPORTERS,
    NETS,
    WITH_OPEN_LENGTHS,
    Specimen,
    lengthened,
    specimen,
)
from tests.support.narrowing import narrow_to

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
HEAD = """# The zoo

Made by `python -m tests.support.zoo_page --write` from the nets in `examples/specimens/zoo`. Nodes are removed at
random until half of the multiply-adds are left. "Import" is the largest difference between the imported module and
onnxruntime, "surgery" that between the masked and the cut model in onnxruntime, both at batch sizes 1 and 7, and
at three lengths of nets that leave one open, relative to the largest output where that is above 1.

| net | exporter | rows of nodes | multiply-adds | import | surgery |
|---|---|---:|---:|---:|---:|
"""


def row(exported: Specimen, exporter: str) -> str:
    """Return one line of the table."""
    narrowed = narrow_to(exported)
    prunable = sum(layer.prunable for layer in narrowed.coupling.layers)
    return (
        f"| {exported.name} | {exporter} | {prunable} of {len(narrowed.coupling.layers)} "
        f"| {narrowed.coupling.macs():,} → {narrowed.macs:,} "
        f"| {narrowed.import_error:.1e} | {narrowed.surgery_error:.1e} |"
    )


def every() -> Iterator[tuple[Specimen, str]]:
    """Yield all nets by both exporters, and those of any length with it left open."""
    yield from ((specimen(name, exporter), exporter) for name in NETS for exporter in EXPORTERS)
    yield from (
        (lengthened(name, exporter), f"{exporter}, any length")
        for name, exporter in WITH_OPEN_LENGTHS
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    lines = []
    for exported, exporter in every():
        lines.append(row(exported, exporter))
        print(lines[-1], flush=True)
    if write:
        PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
