"""A model in spectral form: the imported graph, with its transfers held as eigenvalues and eigenvectors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spectral_engine.graph.coupling import Coupling
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.ids import GroupAxes
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.operators import find_spec
from spectral_engine.records.training import Spectral, Trains
from spectral_engine.spectral.transfer import Form, SpectralTransfer

FORMS: dict[Trains, Form] = {"both": "free", "eigenvalues": "free", "svd": "svd", "qr": "qr"}
# What trains where the eigenvectors do not: eigenvalues and, where the recipe asks, a factor of the eigenvectors.
REDUCED = {"eigenvalues_out", "eigenvalues_in", "singular_values", "triangular"}


@dataclass(frozen=True)
class Tracked:
    """A trained tensor and the node groups along its axes: what narrowing needs to know of it."""

    key: str
    tensor: nn.Parameter
    axes: GroupAxes


class SpectralModel(nn.Module):
    """An OnnxModule whose transfers are trained as (λ_in − λ_out) φ; biases and scales stay as they are.

    A table that is looked up is no map to be cut into eigenvectors: it trains as it is, and its columns rank its nodes.
    A transfer with a BatchNormalization directly after it stays dense: the normalisation cancels any λ before it,
    so that its scale γ is the node's eigenvalue instead. (Singular values and triangular factors are no gates, and are
    held there as well.)
    """

    holds: type[SpectralTransfer] = SpectralTransfer
    dense_gradient = False  # whether what a form masks learns as if it were there

    def __init__(self, module: OnnxModule, coupling: Coupling, options: Spectral) -> None:
        super().__init__()
        self.module, self.coupling, self.options = module, coupling, options
        self.spectral: dict[str, SpectralTransfer] = {}
        self.gates: dict[str, str] = {}  # transfer's weight -> γ that stands in for its eigenvalues
        for transfer in coupling.transfers:
            self._hold(transfer)
        self._list = nn.ModuleList(self.spectral.values())
        trained = set(self.spectral)
        self.plain = tuple(name for name in module.trainable if name not in trained)
        self.unfolded = self._find_unfolded()  # weight -> whether it is read as [out, in]

    def _hold(self, transfer: Transfer) -> None:
        form = FORMS[self.options.train]
        if transfer.kind == "lookup":
            return
        if transfer.norm_scale is not None:
            self.gates[transfer.weight] = transfer.norm_scale
        if transfer.norm_scale is not None and form == "free":
            return
        if transfer.weight in self.module.trainable and transfer.weight not in self.spectral:
            weight = self.module.initializer(transfer.weight).detach()
            self.spectral[transfer.weight] = self.holds(
                weight,
                transfer.out_axis,
                transfer.in_axis,
                two_sided=self.options.two_sided,
                form=form,
            )

    def _find_unfolded(self) -> dict[str, bool]:
        """Find the weights that only dense layers read, each as a matrix: these need not be folded to train."""
        read: dict[str, set[bool | None]] = {name: set() for name in self.spectral}
        for node in self.module.nodes:
            for position, name in enumerate(node.inputs):
                if name in read:
                    read[name].add(find_spec(node).factors(node, position))
        return {
            name: turned
            for name, ways in read.items()
            for turned in (True, False)
            if ways == {turned} and self.spectral[name].is_scaled_rows(turned)
        }

    def forward(
        self, inputs: Mapping[str, Tensor], watch: Collection[str] = ()
    ) -> dict[str, Tensor]:
        """Run the graph on one batch and return its outputs, or the watched values alone."""
        return self.module.compute(inputs, self.given(), watch)

    def given(self) -> dict[str, Any]:
        """Return what stands in for initializers: folded weights, or their factors where these suffice."""
        weights: dict[str, Any] = {}
        for name, transfer in self.spectral.items():
            turned = self.unfolded.get(name)
            weights[name] = transfer.weight() if turned is None else transfer.factors(turned)
        return weights

    def weights(self) -> dict[str, Tensor]:
        """Fold every weight that is not held plain: initializer name -> weight, with gradients to λ and φ."""
        return {name: transfer.weight() for name, transfer in self.spectral.items()}

    @torch.no_grad()
    def weight(self, name: str) -> Tensor:
        """Return one weight, folded where it is in spectral form."""
        transfer = self.spectral.get(name)
        return self.module.initializer(name).detach() if transfer is None else transfer.weight()

    @torch.no_grad()
    def set_weight(self, name: str, weight: Tensor) -> None:
        """Hold another weight of the same widths, in the form in which it is held."""
        transfer = self.spectral.get(name)
        if transfer is None:
            self.module.initializer(name).copy_(weight)
        else:
            transfer.refit(weight)

    def release(self) -> None:
        """Let go of the weights that are in spectral form, in module and graph, until they are written back."""
        for name in self.spectral:
            self.module.release(name)

    def let_gradients_through(self, dense: bool) -> None:
        """Say whether what is masked learns as if it were there; nothing is where a form has no masks."""

    def tracked(self) -> Iterator[Tracked]:
        """Yield every trained tensor under a stable key."""
        axes = self.coupling.axes
        for name, transfer in self.spectral.items():
            for kind, tensor, ids in transfer.tensors(axes[name]):
                yield Tracked(f"{kind}:{name}", tensor, ids)
        for name in self.plain:
            tensor = self.module.initializer(name)
            yield Tracked(f"plain:{name}", tensor, axes.get(name, (None,) * tensor.dim()))

    def trained(self) -> dict[str, Tracked]:
        """Return what the recipe trains: everything, or eigenvalues and what goes with them."""
        tracked = {item.key: item for item in self.tracked()}
        if self.options.train == "both":
            return tracked
        offsets = {f"plain:{transfer.bias}" for transfer in self.coupling.transfers}
        return {
            key: item
            for key, item in tracked.items()
            if key.split(":", 1)[0] in REDUCED
            or key in offsets
            or (key.startswith("plain:") and item.tensor.dim() <= 1)
        }

    def may_change(self) -> set[str]:
        """Return the initializers that a training may change: what trains, and what follows it.

        Offsets take up what is cut, running statistics follow the batches, and fresh weights are others than came.
        """
        offsets = {
            name
            for transfer in self.coupling.transfers
            for name in (transfer.bias, transfer.norm_mean)
            if name is not None
        }
        statistics = {
            name
            for node in self.module.every_node
            if node.op_type == "BatchNormalization"
            for name in node.inputs[3:5]
            if name is not None
        }
        drawn = set(self.module.trainable) if self.options.init == "fresh" else set()
        trained = {key.split(":", 1)[1] for key in self.trained()}
        return trained | set(self.spectral) | offsets | statistics | drawn

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take tensors over as the trained ones, by key."""
        for item in self.tracked():
            if item.key in tensors:
                item.tensor.data = tensors[item.key]

    def write_back(self) -> None:
        """Fold the weights, one at a time, and write every parameter into the graph's initializers."""
        self.write_back_plain()
        for name in self.spectral:
            self.module.write(name, self.weight(name))

    def write_back_plain(self) -> None:
        """Write into the graph what is not in spectral form."""
        for name in self.module.names:
            if name not in self.spectral:
                self.module.write(name, self.module.initializer(name))
