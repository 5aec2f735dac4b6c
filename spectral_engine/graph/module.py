"""An ONNX graph as a torch module: one Parameter per float initializer, under the same name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spectral_engine.errors import DatasetMismatch, ModelInvalid
from spectral_engine.graph.beside import Part, computed_part
from spectral_engine.graph.bodies import BodyKey, graphs_of, is_if, with_bodies
from spectral_engine.graph.head import find_head
from spectral_engine.graph.operator_spec import Mode
from spectral_engine.graph.operators import find_spec, spec_of
from spectral_engine.graph.operators.types import TORCH_TYPES, as_tensor
from spectral_engine.graph.placement import HOST, device_of
from spectral_engine.graph.plan import make_plan
from spectral_engine.graph.rows import module_axes, run_rows
from spectral_engine.onnx_io.initializers import PlaceholderTensor
from spectral_engine.onnx_io.node import Node
from spectral_engine.onnx_io.nodes import graph_nodes
from spectral_engine.onnx_io.row_axes import RowAxes

HALF = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


class OnnxModule(nn.Module):
    """The graph, trainable. Call it with inputs by name; it returns its answers by name.

    Answers are the float outputs and, where these tell nothing of the rows, the float tensors that feed the others;
    nodes that lead to none of them are `beside`, and not computed.

    float16 and bfloat16 parameters compute in float32, float64 ones in float64; each is written back in its own type.
    A batch size frozen to one runs batched all the same, where the graph's reshapes allow it.
    """

    def __init__(
        self,
        model: ir.Model,
        rows: RowAxes | None = None,
        trainable: Collection[str] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.rows = rows or module_axes(model)
        self.input_names = tuple(value.name or "" for value in model.graph.inputs)
        part = computed_part(model, graph_nodes(model))
        self.output_names, self.beside = part.answers, part.beside
        self.untaken: frozenset[BodyKey] = frozenset()  # bodies that no row of the data takes
        _check_types(model, part)
        self._parameters_by_name = self._hold_parameters()
        self.mode = Mode(make_plan)
        nodes = unfreeze_batch(list(part.nodes), _frozen_batch(model), self.input_names)
        self.nodes = nodes
        sources = [*self.input_names, *self._parameters_by_name]
        self.plan = make_plan(nodes, sources, self._constants(), self.mode)
        self.trainable = self._find_trainable(nodes, trainable)
        self._scalars = {
            name: float(p.detach())
            for name, p in self._parameters_by_name.items()
            if p.numel() == 1 and name not in self.trainable
        }
        self.train(False)

    def lay_rows(self, rows: RowAxes) -> OnnxModule:
        """Take and answer rows along these axes from now on; nothing else of the module depends on them."""
        self.rows = rows
        self.__dict__.pop("answers", None)
        self.__dict__.pop("_rows_with_heads", None)
        return self

    def leave(self, untaken: Collection[BodyKey]) -> OnnxModule:
        """Leave bodies of If as they are that no row takes: what they alone read is not trained, and not cut."""
        self.untaken = frozenset(untaken)
        graphs = [graphs_of(node) for node in self.nodes if is_if(node)]
        taken = {
            name
            for graph in (g for bodies in graphs for key, g in bodies.items() if key not in untaken)
            for name in graph.captured()
        }
        read = {name for node in self.nodes if not is_if(node) for name in node.inputs}
        left = {name for bodies in graphs for g in bodies.values() for name in g.captured()}
        left -= taken | read
        self.trainable = tuple(name for name in self.trainable if name not in left)
        return self

    @property
    def every_node(self) -> Iterator[Node]:
        """The nodes, with those in bodies of If."""
        return with_bodies(self.nodes)

    def values_of(self, inputs: Mapping[str, Tensor], names: Collection[str]) -> dict[str, Any]:
        """Run what leads to these values and nothing else, once, on inputs in the shapes that the graph declares."""
        return self._run(inputs, None, names)

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """Return the graph's outputs by name, of inputs in the shapes that it declares."""
        return self.run(inputs)

    def compute(
        self,
        inputs: Mapping[str, Tensor],
        weights: Mapping[str, Any] | None = None,
        watch: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """Run the graph on rows [n, …] and return its answers or, where values to `watch` are named, these alone.

        `weights` replaces initializers by name: by tensors or, where dense layers alone read them, Factored ones.
        Outputs and what they are squashed from come with their rows first, all else as the graph has it; where rows do
        not run together, it comes one run after the other along its first axis.
        """
        return run_rows(
            lambda values: self._run(values, weights, watch or self.output_names),
            inputs,
            self._rows_with_heads.for_values(watch),
            self.answers,
        )

    def run(
        self,
        inputs: Mapping[str, Tensor],
        weights: Mapping[str, Any] | None = None,
        watch: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """Run the graph once, on inputs in the shapes that it declares; `watch` adds values to its answers."""
        return self._run(inputs, weights, (*self.output_names, *watch))

    def _run(
        self,
        inputs: Mapping[str, Tensor],
        weights: Mapping[str, Any] | None,
        wanted: Collection[str],
    ) -> dict[str, Tensor]:
        values: dict[str, Any] = {**self.plan.known, **self._parameters_by_name}
        for name in self.input_names:
            if name not in inputs:
                raise DatasetMismatch(f"input {name!r} is missing", pointer=f"/{name}")
            values[name] = _widened(inputs[name])
        self.mode.batch = self._batch(values)
        if weights:
            values.update(weights)
        scalars = (
            None if weights and not self._scalars.keys().isdisjoint(weights) else self._scalars
        )
        device = next((device_of(value) for value in inputs.values()), HOST)
        return self.plan.run(values, wanted, scalars, device)

    @cached_property
    def answers(self) -> Mapping[str, int | None]:
        """The axis of the rows of outputs, and of the values that a final softmax or sigmoid squashes into them."""
        axes = {name: self.rows.outputs.get(name, 0) for name in self.output_names}
        heads = {find_head(self.nodes, name).value: axis for name, axis in axes.items()}
        return {**heads, **axes}

    @cached_property
    def _rows_with_heads(self) -> RowAxes:
        """The axes of the rows, where what outputs are squashed from follows ragged rows as they do."""
        follow = self.rows.follow
        heads = {find_head(self.nodes, name).value: axes for name, axes in follow.items()}
        return replace(self.rows, follow={**heads, **follow}) if follow else self.rows

    def _batch(self, values: Mapping[str, Any]) -> int:
        """Return how many rows these inputs hold, 0 where they have no axis of rows."""
        for name in self.input_names:
            axis = self.rows.of_input(name)
            if axis is not None and isinstance(values[name], Tensor) and values[name].dim() > axis:
                return int(values[name].shape[axis])
        return 0

    @property
    def names(self) -> tuple[str, ...]:
        """The initializers that are parameters."""
        return tuple(self._parameters_by_name)

    def initializer(self, name: str) -> nn.Parameter:
        """Return the parameter that holds this initializer."""
        return self._parameters_by_name[name]

    def train(self, mode: bool = True) -> OnnxModule:
        """Let BatchNormalization use the batch's statistics, and keep its running ones up to date."""
        super().train(mode)
        self.mode.training = mode
        return self

    @torch.no_grad()
    def write_back(self, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Write parameters into the graph's initializers, those in `tensors` instead where given."""
        given = tensors or {}
        for name, parameter in self._parameters_by_name.items():
            self.write(name, given.get(name, parameter))

    @torch.no_grad()
    def write(self, name: str, tensor: Tensor) -> None:
        """Write one tensor into the graph's initializer of this name; entries that are what it held keep its bits."""
        value = self.model.graph.initializers[name]
        kind = value.dtype or ir.DataType.FLOAT
        array = without_subnormals(tensor.detach().cpu().numpy()).astype(kind.numpy(), copy=False)
        if value.const_value is not None and not isinstance(value.const_value, PlaceholderTensor):
            same = as_parameter(value.const_value) == tensor.detach().cpu()
            np.copyto(array, value.const_value.numpy(), where=same.numpy())
        value.const_value = ir.Tensor(array, dtype=kind, name=name)

    def release(self, name: str) -> None:
        """Let go of an initializer that is held elsewhere: here and in the graph it reads as NaN from now on."""
        parameter, value = self._parameters_by_name[name], self.model.graph.initializers[name]
        parameter.data = _nothing(parameter.shape, parameter.dtype).to(parameter.device)
        value.const_value = PlaceholderTensor(
            name, value.dtype or ir.DataType.FLOAT, parameter.shape
        )

    def _hold_parameters(self) -> dict[str, nn.Parameter]:
        parameters = {}
        for name, value in self.model.graph.initializers.items():
            tensor = value.const_value
            if tensor is None or int(tensor.dtype) not in TORCH_TYPES:
                continue  # what is computed does not read it
            if tensor.dtype.is_floating_point():
                parameters[name] = nn.Parameter(as_parameter(tensor))
                attach(self, name, parameters[name])
        return parameters

    def _constants(self) -> dict[str, Tensor]:
        return {
            name: as_tensor(value.const_value.numpy())
            for name, value in self.model.graph.initializers.items()
            if value.const_value is not None and name not in self._parameters_by_name
            if int(value.const_value.dtype) in TORCH_TYPES
        }

    def over(self, model: ir.Model) -> OnnxModule:
        """Return the module of a graph that was cut out of this one: with the same rows, and training the same.

        What it trains is not found anew: a weight that has one entry left would be taken for a constant.
        """
        return OnnxModule(model, self.rows, self.trainable).leave(self.untaken)

    def _find_trainable(self, nodes: list[Node], given: Collection[str] | None) -> tuple[str, ...]:
        if given is not None:
            return tuple(name for name in self._parameters_by_name if name in given)
        read = {name for node in with_bodies(nodes) for name in self._weights_of(node)}
        return tuple(name for name in self._parameters_by_name if name in read)

    def _weights_of(self, node: Node) -> Iterator[str]:
        """Yield the parameters that a node reads as weights; a single number beside an activation is a constant."""
        spec = find_spec(node)
        for position in spec.weights:
            name = node.inputs[position] if position < len(node.inputs) else None
            if name in self._parameters_by_name and (
                spec.single_weights or self._parameters_by_name[name].numel() != 1
            ):
                yield name


def _check_types(model: ir.Model, part: Part) -> None:
    """Refuse, by name, values of types that torch cannot compute with, where they are to be computed with."""
    read = {name for node in part.nodes for name in node.inputs}
    constants = [value for name, value in model.graph.initializers.items() if name in read]
    for value in model.graph.inputs:
        if kind := _no_tensor(value):
            raise ModelInvalid(
                f"input {value.name!r} is {kind}, which is not supported: export the model with a tensor in its place"
            )
    for value in model.graph.outputs:
        if value.name in part.answers and (kind := _no_tensor(value)):
            raise ModelInvalid(
                f"output {value.name!r} is {kind}, and no floats that could be trained feed it: export the model with "
                "its scores as an output"
            )
    for value in (*model.graph.inputs, *constants):
        if value.dtype is not None and int(value.dtype) not in TORCH_TYPES:
            raise ModelInvalid(f"{value.name!r} holds {value.dtype.name}, which is not supported")


def _no_tensor(value: ir.Value) -> str | None:
    """Say what a value is that is no tensor."""
    if isinstance(value.type, ir.SequenceType):
        return "a sequence"
    return "an optional" if isinstance(value.type, ir.OptionalType) else None


def attach(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Register a parameter under a dotted name, so that named_parameters() gives the very same name."""
    *scopes, leaf = name.split(".")
    try:
        home = module
        for scope in scopes:
            if scope not in home._modules:
                home.add_module(scope, nn.Module())
            home = home.get_submodule(scope)
        home.register_parameter(leaf, parameter)
    except (KeyError, AttributeError, TypeError):
        module._parameters[name] = parameter  # a name that torch refuses, as "a..b" or "forward"


def unfreeze_batch(nodes: list[Node], frozen: int | None, inputs: tuple[str, ...]) -> list[Node]:
    """Let reshapes that bake a frozen batch size in take any: the first entry becomes −1, or 0 for 'as it comes'."""
    if frozen is None:
        return nodes
    carrying = carrying_inputs(nodes, inputs)
    return [_unfrozen(n, frozen) if n.inputs and n.inputs[0] in carrying else n for n in nodes]


def _unfrozen(node: Node, frozen: int) -> Node:
    spec = spec_of(
        node.op_type, node.domain
    )  # an unknown operator is refused when it is bound, in its turn
    return node if spec is None else spec.free_batch(node, frozen)


def carrying_inputs(nodes: Iterable[Node], inputs: Iterable[str]) -> frozenset[str]:
    """Return the values that are made of the inputs' entries, not of their shapes alone."""
    carrying = set(inputs)
    for node in nodes:
        spec = spec_of(node.op_type, node.domain)
        entries = spec is None or not spec.reads_shape_alone
        if entries and carrying.intersection(node.inputs):
            carrying.update(node.outputs)
    return frozenset(carrying)


def _frozen_batch(model: ir.Model) -> int | None:
    shapes = [value.shape for value in model.graph.inputs if value.shape is not None]
    sizes = {shape[0] for shape in shapes if len(shape) > 0}
    only = sizes.pop() if len(sizes) == 1 else None
    return only if isinstance(only, int) else None


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in {torch.float16, torch.bfloat16} else tensor


def as_parameter(tensor: ir.TensorProtocol) -> Tensor:
    """Return an initializer's values in the type that they are computed in: float64 or float32."""
    if isinstance(tensor, PlaceholderTensor):
        return _nothing(tensor.shape.numpy(), TORCH_TYPES[int(tensor.dtype)])
    return _widened(as_tensor(_plain(tensor)))


def without_subnormals(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy with 0 for what is too small to be a normal number: such numbers slow every later run down."""
    smallest = np.finfo(array.dtype).tiny
    return np.where(np.abs(array) < smallest, array.dtype.type(0), array)


def _nothing(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return NaNs that take the memory of one."""
    return torch.tensor(torch.nan, dtype=dtype).expand(*shape)


def _plain(tensor: Any) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = np.asarray(tensor.numpy())
    return array.astype(np.float32) if tensor.dtype in HALF else array
