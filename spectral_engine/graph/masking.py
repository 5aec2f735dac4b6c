"""The wide model with some nodes silenced: what surgery is checked against.

A silenced node stays in its place and computes; whoever reads it reads nothing. Transfers read it through zeros. Where
an operator computes across nodes without a weight (a sum, a norm, a softmax), it is kept out of that by a mask.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.coupling_recorder import Mix
from spectral_engine.graph.ids import GroupIds
from spectral_engine.graph.operator_spec import NormForm
from spectral_engine.graph.operators import spec_of
from spectral_engine.graph.surgery import copy_model, drop_inner_shapes
from spectral_engine.onnx_io.hidden_answers import kept_hidden
from spectral_engine.onnx_io.initializers import add_initializer, derived
from spectral_engine.onnx_io.nodes import DEFAULT_DOMAINS

LOWEST = -1e30  # stands in for −∞: 0 times it is still 0


def mask(model: ir.Model, coupling: Coupling, removed: Mark) -> ir.Model:
    """Return a copy of the model in which these node groups are silenced, and nothing is narrower."""
    wide = copy_model(model)
    drop_inner_shapes(wide)
    # 1. Transfers. A removed input contributes W · x = 0 whatever finite x is, once its column of W is zero. The
    # weights that make the node stay as they are: only who reads it must not notice it. Grouped transfers have no
    # axis of inputs: what they read goes together with what they make, and that is zero at its next reader.
    for transfer in coupling.transfers:
        if transfer.in_axis is not None:
            ids = coupling.axes[transfer.weight][transfer.in_axis]
            if ids is not None:
                _zero(wide.graph.initializers[transfer.weight], transfer.in_axis, removed[ids])
    # 2. Operators that compute across nodes without a weight, of which a silenced node must be no part.
    dtype = _float_type(wide)
    nodes = {node.outputs[0].name: node for graph in wide.graphs() for node in graph}
    for mix in coupling.mixes:
        if removed[mix.ids].any() and mix.kind != "norm":
            _keep_out(wide, nodes[mix.node], mix, ~removed[mix.ids], dtype)
    # 3. Norms. No value of an input keeps it out of mean and variance both, so that they are written out. One
    # norm may go over several axes of nodes, and is written once for all of them.
    for name, mixes in _norms(coupling.mixes).items():
        if any(removed[mix.ids].any() for mix in mixes):
            _MaskedNorm(wide, nodes[name], mixes, removed, dtype).replace()
    return wide


def _zero(value: ir.Value, axis: int, gone: Mark) -> None:
    tensor = value.const_value
    if tensor is None or not gone.any():
        return

    # Worked out while the file is written, tensor by tensor: the masked model is never in memory as a whole.
    def silence(array: NDArray[Any]) -> None:
        np.moveaxis(array, axis, 0)[gone] = 0

    value.const_value = derived(tensor, silence)


def _float_type(model: ir.Model) -> ir.DataType:
    """Return the type in which the model computes."""
    for value in (*model.graph.initializers.values(), *model.graph.inputs):
        if value.dtype is not None and value.dtype.is_floating_point():
            return value.dtype
    return ir.DataType.FLOAT


def _keep_out(
    model: ir.Model, node: ir.Node, mix: Mix[GroupIds], stays: Mark, dtype: ir.DataType
) -> None:
    """Put a mask before the node's input."""
    source = node.inputs[mix.input]
    assert source is not None
    name = f"{mix.node}/{mix.input}/{mix.axis}"
    # The neutral element of each operator: 0 in a sum, −∞ in a maximum or a softmax, +∞ in a minimum.
    if mix.kind in {"sum", "mean"}:
        # A mean still divides by all entries: those that stay are scaled up by as much.
        scale = len(stays) / stays.sum() if mix.kind == "mean" else 1.0
        factor = add_initializer(
            model, f"{name}/mask", _along(stays * scale, mix.axis, mix.rank), dtype
        )
        masked = ir.node("Mul", [source, factor], outputs=[ir.Value(name=f"{name}/masked")])
    else:
        lowest = LOWEST if mix.kind == "lowest" else -LOWEST
        # What float16 can hold; exp of it is 0 all the same.
        if dtype == ir.DataType.FLOAT16:
            lowest = np.sign(lowest) * 6e4
        # Chosen, not multiplied: 0 times an infinite entry would be NaN.
        kept = add_initializer(
            model, f"{name}/mask", _along(stays, mix.axis, mix.rank), ir.DataType.BOOL
        )
        other = add_initializer(model, f"{name}/least", np.array(lowest), dtype)
        masked = ir.node("Where", [kept, source, other], outputs=[ir.Value(name=f"{name}/masked")])
    _graph_of(node).insert_before(node, masked)
    node.replace_input_with(mix.input, masked.outputs[0])


def _graph_of(node: ir.Node) -> ir.Graph:
    """Return the graph in which a node stands: the model's, or a body of it."""
    assert isinstance(node.graph, ir.Graph)
    return node.graph


def _along(values: NDArray[Any], axis: int, rank: int) -> NDArray[Any]:
    shape = [1] * rank
    shape[axis] = len(values)
    return values.reshape(shape)


def _norms(mixes: Iterable[Mix[GroupIds]]) -> dict[str, list[Mix[GroupIds]]]:
    """Return the axes over which each norm goes, by the first output of its node."""
    by_node: dict[str, list[Mix[GroupIds]]] = {}
    for mix in mixes:
        if mix.kind == "norm":
            by_node.setdefault(mix.node, []).append(mix)
    return by_node


def _norm_form(node: ir.Node) -> NormForm:
    """Return how the norm is written out, as its operator's spec says."""
    spec = spec_of(node.op_type, "" if node.domain in DEFAULT_DOMAINS else node.domain)
    if spec is None or spec.norm is None:
        raise ValueError(
            f"{node.op_type} mixes nodes as a norm does, and its spec does not say how"
        )
    return spec.norm


class _MaskedNorm:
    """A layer or RMS normalisation over the nodes that stay, in plain operators.

    With the mask m and n entries that stay: μ = Σ m x / n, c = m (x − μ), σ² = Σ c² / n, y = γ c / √(σ² + ε) + β.
    """

    def __init__(
        self,
        model: ir.Model,
        node: ir.Node,
        mixes: list[Mix[GroupIds]],
        removed: Mark,
        dtype: ir.DataType,
    ) -> None:
        self.model, self.node, self.dtype = model, node, dtype
        self.form = _norm_form(node)
        self.name, self.count = mixes[0].node, 0
        rank = mixes[0].rank
        axis = node.attributes.get_int("axis", -1)
        self.axes = list(range(axis % rank, rank))
        # Over several axes the mask is the outer product of theirs, and n the product of their counts.
        stays = np.ones([1] * rank)
        wide = kept = 1
        for mix in mixes:
            along = ~removed[mix.ids]
            stays = stays * _along(along.astype(np.float64), mix.axis, rank)
            wide, kept = wide * len(along), kept * int(along.sum())
        self.scale = wide / kept  # turns a mean over all entries into one over those that stay
        self.mask = self._constant("mask", stays)

    def replace(self) -> None:
        """Put the plain operators in the place of the node."""
        form = self.form
        # The sum that a skip norm hands on is the unmasked one: its other readers do not read silenced nodes either.
        total = self._input(0)
        for position in form.summed:
            total = self._with("Add", total, position)
        # m x before the mean, and m (x − μ) after it: without the second mask a silenced entry would be −μ.
        kept = self._add("Mul", total, self.mask)
        if form.centred:
            kept = self._add("Mul", self._add("Sub", kept, self._mean(kept)), self.mask)
        variance = self._mean(self._add("Mul", kept, kept))
        least = self.node.attributes.get_float("epsilon", form.epsilon)
        deviation = self._add(
            "Sqrt", self._add("Add", variance, self._constant("epsilon", np.array(least)))
        )
        result = self._with("Mul", self._add("Div", kept, deviation), form.scale)
        if form.shift is not None:
            result = self._with("Add", result, form.shift)
        # Entries that are silenced come out as β, or 0: who reads them reads them through zeros.
        self._hand_over(0, result)
        if len(self.node.outputs) > 3:
            self._hand_over(3, total)
        _graph_of(self.node).remove(self.node)

    def _input(self, position: int) -> ir.Value:
        value = self.node.inputs[position]
        assert value is not None
        return value

    def _with(self, op_type: str, value: ir.Value, position: int) -> ir.Value:
        """Combine with an input, where it is given."""
        if position >= len(self.node.inputs) or self.node.inputs[position] is None:
            return value
        return self._add(op_type, value, self._input(position))

    def _hand_over(self, position: int, value: ir.Value) -> None:
        # An output of the model keeps its name and declared type, whatever node now makes it.
        old = self.node.outputs[position]
        ir.convenience.replace_all_uses_with(old, value)
        if old.name in kept_hidden(self.model):  # it is asked for by its name
            value.name = old.name
        outputs = _graph_of(self.node).outputs
        for index, output in enumerate(outputs):
            if output is old:
                outputs[index] = value
                value.name, value.shape, value.type = old.name, old.shape, old.type

    def _mean(self, value: ir.Value) -> ir.Value:
        # Since opset 18 the axes are an input. The scale turns 1 / all entries into 1 / those that stay.
        if self.model.opset_imports.get("", 17) >= 18:
            axes = self._constant("axes", np.array(self.axes), ir.DataType.INT64)
            mean = self._add("ReduceMean", value, axes)
        else:
            mean = self._add("ReduceMean", value, axes=self.axes)
        return self._add("Mul", mean, self._constant("scale", np.array(self.scale)))

    def _constant(
        self, part: str, array: NDArray[Any], dtype: ir.DataType | None = None
    ) -> ir.Value:
        name = f"{self.name}/norm/{part}"
        if name in self.model.graph.initializers:
            return self.model.graph.initializers[name]
        return add_initializer(self.model, name, array, dtype or self.dtype)

    def _add(self, op_type: str, *inputs: ir.Value, **attributes: list[int]) -> ir.Value:
        self.count += 1
        output = ir.Value(name=f"{self.name}/norm/{op_type}_{self.count}")
        node = ir.node(op_type, list(inputs), attributes=attributes, outputs=[output])
        _graph_of(self.node).insert_before(self.node, node)
        return output
