"""Files cut by us and by Torch-Pruning 1.6 at the same share of multiply-adds, timed side by side in onnxruntime.

    python -m benchmarks.speed [--nets …] [--seconds 8]

Torch-Pruning cuts each layer by one ratio, by the norms of its weights, with `round_to=8`: the first ratio that keeps
the share. We get as many multiply-adds as its file has. Nothing is trained: the widths are what is timed. Original and
cuts run in turns, in shuffled order, in one process: processor time, one thread, medians.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from benchmarks import rows
from benchmarks.digits import export
from benchmarks.speed.cuts import macs_of, ours, theirs, widths_of
from benchmarks.speed.nets import NETS
from benchmarks.speed.timing import optimised_nodes, peak, timed

NAME = "speed"
SHARES = (0.5, 0.25)
BATCHES = (1, 32)


def main() -> None:
    """Write one row for each net, share and batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--seconds", type=float, default=8.0, help="of timing for each row")
    parser.add_argument("--run", default="now", help="rows of other runs stay beside these")
    parser.add_argument("--dry", action="store_true", help="write no row")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.nets:
        for share in SHARES:
            for row in measure(name, share, chosen.seconds):
                print({key: value for key, value in row.items() if key != "widths"}, flush=True)
                if not chosen.dry:
                    rows.append(NAME, {"run": chosen.run, **row})


def measure(name: str, share: float, seconds: float) -> list[dict[str, object]]:
    """Return a row for each batch."""
    net = NETS[name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        module = net.build()
        files = {"original": folder / "original.onnx", "ours": folder / "ours.onnx"}
        export(module, torch.zeros(1, *net.row), files["original"])
        whole = macs_of(files["original"])
        rival = theirs(module, net, share, folder / "theirs.onnx")
        if rival is not None:
            files["theirs"] = rival
        asked = share if rival is None else macs_of(rival) / whole
        ours(files["original"], asked, files["ours"])
        macs = {who: macs_of(path) for who, path in files.items()}
        widths = {who: widths_of(path) for who, path in files.items()}
        nodes = {who: optimised_nodes(path) for who, path in files.items()}
        measured: list[dict[str, object]] = []
        for batch in BATCHES:
            times = timed(files, (batch, *net.row), seconds)
            measured.append(
                {
                    "net": name,
                    "share": share,
                    "batch": batch,
                    "macs": macs,
                    "microseconds": {who: round(1e6 * time, 2) for who, time in times.items()},
                    "of_peak": round(batch * macs["ours"] / times["ours"] / peak(), 4),
                    "optimised_nodes": nodes,
                    "widths": widths,
                }
            )
        return measured


if __name__ == "__main__":
    main()
