"""Our default, through the engine on the ONNX export; and its dense form, the control.

The dense form is the very same program (schedule, removal, compensation, distillation, averaging) on plain weights.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.quality.start import Case
from benchmarks.quality.tuning import answer_error
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.loading import load
from spectral_engine.measure.runtime import Runner
from spectral_engine.methods.candidate import Built
from spectral_engine.methods.sparse.model import SparseModel
from spectral_engine.planning import plan, start_run
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.progress import ignore
from spectral_engine.records.recipe import Recipe
from spectral_engine.spectral.model import SpectralModel

TARGET = {"nodes": "keep_nodes", "macs": "max_macs", "links": "density"}


class DenseModel(SpectralModel):
    """The same model with every transfer left as it is: plain weights."""

    def _hold(self, transfer: Transfer) -> None:
        if transfer.norm_scale is not None:
            self.gates[transfer.weight] = transfer.norm_scale


class DenseSparseModel(DenseModel, SparseModel):
    """The same under masks."""


def recipe_for(case: Case, level: float, rate: float | None, **changes: dict[str, Any]) -> Recipe:
    """Return the default recipe with this target; one candidate, so that it has all epochs to itself."""
    links = case.setting.resource == "links"  # its levels are sparsities
    parts: dict[str, Any] = {
        "target": {TARGET[case.setting.resource]: 1 - level if links else level},
        "training": {"epochs": case.setting.epochs, "learning_rate": rate, "device": "cpu"},
        "prune": {"candidates": 1},
    }
    for name, change in changes.items():
        parts[name] = parts.get(name, {}) | change
    method = "sparse" if links else "prune"
    return Recipe(method=method, seed=case.seed, task=_task(case), **parts)


def _task(case: Case) -> str:
    return "regression" if case.start.data.regression else "classification"


def compress(case: Case, recipe: Recipe, *, dense: bool = False) -> tuple[Built, bytes]:
    """Run the engine's default method; return the last candidate and its file."""
    setup = prepare(case.model_path, case.data_path, recipe)
    folder = Path(tempfile.mkdtemp(prefix="quality-"))
    try:
        task = plan(setup, folder, ignore)
        dense_form = DenseSparseModel if recipe.method == "sparse" else DenseModel
        built = start_run(setup, task, dense_form if dense else None).run()[-1]
        return built, built.path.read_bytes()
    finally:
        shutil.rmtree(folder)


def widths(case: Case, built: Built) -> list[int]:
    """Return the nodes left in each prunable layer."""
    from spectral_engine.graph.coupling import couple

    layers = couple(load(case.model_path)).layers
    return [int((~built.removed[layer.groups]).sum()) for layer in layers if layer.prunable]


def error(case: Case, model: bytes, part: str) -> float:
    """Return the error of an ONNX file on `validation` or `test`."""
    x, y = getattr(case.start.data, part)
    from spectral_engine.data import Split

    answers = Runner(model).predict(Split({"x": x}, None))
    return answer_error(answers, y, regression=case.start.data.regression)
