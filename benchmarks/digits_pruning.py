"""784-500-500-10 on MNIST's 5,000-image sample: a tenth of the hidden nodes left, three seeds.

python -m benchmarks.digits_pruning [--seeds 3] [--keep 0.1]
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import spectral_engine as se
from benchmarks import rows
from benchmarks.digits import trained_perceptron

WIDTHS = (784, 500, 500, 10)


def measure(seed: int, keep: float, folder: Path) -> dict[str, object]:
    """Train, export, compress, and return what the report says."""
    model, data = trained_perceptron(folder, seed, WIDTHS)
    recipe = se.Recipe(method="prune", target={"keep_nodes": keep}, seed=seed)
    report = se.compress(model, data, recipe).report.data
    chosen = report.chosen_candidate()
    single = chosen.speedups[0]
    return {
        "seed": seed,
        "keep_nodes": keep,
        "accuracy_before": report.baseline.metric.value,
        "accuracy_after": chosen.measurement.metric.value,
        "drop": chosen.drop.value,
        "drop_interval": [chosen.drop.interval.low, chosen.drop.interval.high],
        "nodes": [report.baseline.nodes, chosen.measurement.nodes],
        "params": [report.baseline.params, chosen.measurement.params],
        "macs": [report.baseline.macs, chosen.measurement.macs],
        "file_bytes": [report.baseline.file_bytes, chosen.measurement.file_bytes],
        "speedup_batch_1": single.ratio,
        "speedup_interval": [single.interval.low, single.interval.high],
        "exactness": chosen.exactness.max_abs_difference,
        "training_seconds": report.provenance.training_seconds,
        "curve": [
            {
                "nodes": entry.measurement.nodes,
                "validation": entry.measurement.validation_metric,
                "held_out": entry.measurement.metric.value,
            }
            for entry in report.candidates
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=float, default=0.1)
    arguments = parser.parse_args()
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            row = measure(seed, arguments.keep, Path(folder))
            rows.append("digits_pruning", row)
            measured.append(row)
            print(row, flush=True)
    print(
        f"mean drop {statistics.mean(r['drop'] for r in measured) * 100:.2f} points, "
        f"smallest speed-up at batch 1 {min(r['speedup_batch_1'] for r in measured):.2f}x"
    )


if __name__ == "__main__":
    main()
