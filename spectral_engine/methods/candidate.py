"""A finished candidate: cut, trained, exported, and proved equal to the masked original."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from spectral_engine.cost.budget import Cost
from spectral_engine.cost.removal import RemovalPlan
from spectral_engine.data.split import Split
from spectral_engine.graph.coupling import Coupling
from spectral_engine.graph.masking import mask
from spectral_engine.graph.surgery import kept_entries
from spectral_engine.measure.exactness import compare, compare_weights
from spectral_engine.measure.opened_model import KEPT_BYTES, OpenedModel
from spectral_engine.onnx_io.initializers import derived
from spectral_engine.onnx_io.save import name_by_content, save_model
from spectral_engine.onnx_io.source import source_files
from spectral_engine.records.report import Exactness, Links
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.spectral.untrained import keep_untrained
from spectral_engine.training.normalization import fold, folded_into
from spectral_engine.work_dir import write_whole


@dataclass(frozen=True)
class Built:
    """A candidate on disk, with what the report needs to know of it.

    `removal`, `removed_at`, `relevance` and `eigenvalues` have one entry per group of the original coupling;
    values of removed groups are those of the moment before they went.
    """

    index: int
    opened: OpenedModel
    external: tuple[Path, ...]  # the files of its external data, beside it
    cost: Cost
    validation_metric: float
    exactness: Exactness
    removal: RemovalPlan  # the plan that was carried out
    removed_at: NDArray[np.int64]
    relevance: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    trained_parameters: int
    cooling_steps: int
    links: Links | None = None
    unchanged: bool = False  # the original itself, handed back

    @property
    def removed(self) -> NDArray[np.bool_]:
        """The groups that are gone."""
        return self.removal.removed

    @property
    def path(self) -> Path:
        """Where its file lies."""
        assert isinstance(self.opened.source, Path)
        return self.opened.source

    @property
    def effective_cost(self) -> Cost:
        """What the candidate costs where zeros cost nothing."""
        if self.links is None:
            return self.cost
        return replace(
            self.cost, macs=self.links.effective_macs, params=self.links.effective_params
        )

    def to_json(self) -> dict[str, Any]:
        """Return all but the ONNX file."""
        return {
            "index": self.index,
            "external": [file.name for file in self.external],
            "cost": vars(self.cost),
            "validation_metric": self.validation_metric,
            "exactness": self.exactness.model_dump(),
            "removed": np.flatnonzero(self.removal.removed).tolist(),
            "asked": np.flatnonzero(self.removal.asked).tolist(),
            "removed_at": self.removed_at.tolist(),
            "relevance": self.relevance.tolist(),
            "eigenvalues": self.eigenvalues.tolist(),
            "trained_parameters": self.trained_parameters,
            "cooling_steps": self.cooling_steps,
            "links": None if self.links is None else self.links.model_dump(),
        }

    @classmethod
    def load(cls, path: Path) -> Built:
        """Read a candidate back from beside its ONNX file."""
        stored = json.loads(path.with_suffix(".json").read_text())
        relevance = np.array(stored["relevance"], dtype=np.float64)
        removed, asked = np.zeros((2, len(relevance)), dtype=bool)
        removed[stored["removed"]] = True
        asked[stored.get("asked", stored["removed"])] = True
        return cls(
            index=stored["index"],
            opened=OpenedModel(path),
            external=tuple(path.with_name(name) for name in stored.get("external", ())),
            cost=Cost(**stored["cost"]),
            validation_metric=stored["validation_metric"],
            exactness=Exactness.model_validate(stored["exactness"]),
            removal=RemovalPlan(removed, asked),
            removed_at=np.array(stored["removed_at"], dtype=np.int64),
            relevance=relevance,
            eigenvalues=np.array(stored["eigenvalues"], dtype=np.float64),
            trained_parameters=stored["trained_parameters"],
            cooling_steps=stored.get("cooling_steps", 0),
            links=None if stored["links"] is None else Links.model_validate(stored["links"]),
        )

    def save(self) -> None:
        """Write what is known beside the ONNX file; this file's presence says that the candidate is whole."""
        write_whole(self.path.with_suffix(".json"), json.dumps(self.to_json()))


@dataclass(frozen=True)
class Cut:
    """What came in, and which of its node groups are gone [count]."""

    original: OpenedModel
    coupling: Coupling
    removed: NDArray[np.bool_]


def export(
    model: SpectralModel, cut: Cut, provenance: Mapping[str, str], path: Path
) -> tuple[Path, ...]:
    """Fold spectral form and training's normalisations back and write the graph; |λ| must be read before.

    What no training moved is written with the original's bits. Returns the files beside it that hold the weights which
    do not fit in one file.
    """
    model.write_back()
    keep_untrained(model, cut.original.graph, cut.coupling, cut.removed)
    graph = model.module.model
    fold(graph)
    graph.metadata_props.update(provenance)
    return name_by_content(path, save_model(graph, path))


def untrained(model: SpectralModel) -> frozenset[str]:
    """Return the initializers that this training leaves as they came."""
    changed = model.may_change() | folded_into(model.coupling)
    return frozenset(name for name in model.module.names if name not in changed)


def copy_original(original: OpenedModel, path: Path) -> tuple[Path, ...]:
    """Write the uploaded model at `path` as it came; return the files beside it that hold its weights."""
    source = original.source
    if isinstance(source, bytes):
        path.write_bytes(source)
        return ()
    if source_files(source) == {source}:
        shutil.copyfile(source, path)
        return ()
    return name_by_content(path, save_model(original.graph, path))


def widen(wide: ir.Model, cut: Cut, narrow: ir.Model, untrained: Collection[str]) -> None:
    """Put a candidate's trained weights at their places in a copy of the original graph.

    Removed places keep what they had, and so does all that was not trained.
    """
    for name, value in wide.graph.initializers.items():
        source = narrow.graph.initializers.get(name)
        if source is None or source.const_value is None or value.const_value is None:
            continue
        if name in untrained:
            continue
        if value.const_value.dtype.is_floating_point():
            stays = kept_entries(cut.coupling, name, value.const_value, cut.removed)
            value.const_value = _filled(value.const_value, stays, source.const_value)


def _filled(
    wide: ir.TensorProtocol, stays: tuple[NDArray[np.int64], ...], narrow: ir.TensorProtocol
) -> ir.LazyTensor:
    def fill(array: NDArray[Any]) -> None:
        array[stays] = narrow.numpy()

    return derived(wide, fill)


def prove_exact(
    cut: Cut,
    candidate: OpenedModel,
    samples: Split,
    untrained: Collection[str],
) -> Exactness:
    """Compare weights, then run candidate and masked original in onnxruntime.

    The masked original has the candidate's weights, but for those that were not trained: these are its own.
    Raises NumericMismatch where the two disagree.
    """
    # A large original is parsed here anew, and once: what is compared is widened then.
    narrow, wide = candidate.graph, cut.original.graph
    compare_weights(wide, narrow, cut.coupling, cut.removed, untrained)
    widen(wide, cut, narrow, untrained)
    masked = mask(wide, cut.coupling, cut.removed)
    file = candidate.source
    beside = file.parent if isinstance(file, Path) else None
    with tempfile.TemporaryDirectory(dir=beside, prefix="masked-") as folder:
        path = Path(folder) / "masked.onnx"
        # A runtime maps weights that lie beside a model; those in one file it copies, and more than once.
        save_model(masked, path, most=KEPT_BYTES)
        return compare(path, file, samples)
