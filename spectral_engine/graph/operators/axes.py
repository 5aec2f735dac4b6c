"""What coupling rules share: axes that meet, constants that state widths, values that only pass ids on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Follows, Origin, Source
from spectral_engine.graph.ids import NodeAxes, NodeIds
from spectral_engine.onnx_io.node import Node


def meet(operands: Sequence[str], output: str, book: CouplingRecorder) -> None:
    """Couple operands that are broadcast against each other.

    An axis of size 1 leaves the others' ids alone; where it holds a node itself, that node must stay,
    for it acts on all of them.
    """
    shape = book.shapes[output]
    axes = tuple(
        _meet_axis(operands, axis - len(shape), size, book) for axis, size in enumerate(shape)
    )
    book.write(output, axes)
    for name in operands:
        if name in book.initializers:
            constant_shape = book.shapes[name]
            trailing = axes[len(axes) - len(constant_shape) :]
            book.claim(
                name,
                tuple(
                    ids if n > 1 else None for ids, n in zip(trailing, constant_shape, strict=True)
                ),
            )


def _meet_axis(
    operands: Sequence[str], axis: int, size: int, book: CouplingRecorder
) -> NodeIds | None:
    """Return the ids along one axis of the output, counted from the right."""
    full: list[NodeIds | None] = []
    for name in operands:
        operand_shape = book.shapes[name]
        if -axis > len(operand_shape) or name in book.initializers:
            continue  # absent, or follows the others
        ids = book.axis(name, axis)
        if operand_shape[axis] == size:
            full.append(ids)
        else:
            book.pin(ids, "one node is broadcast over many")
    if not full:
        return _constants_alone(operands, axis, size, book)
    ids = full[0]
    for other in full[1:]:
        ids = book.join(ids, other)
    return ids


def _constants_alone(
    operands: Sequence[str], axis: int, size: int, book: CouplingRecorder
) -> NodeIds | None:
    """Return ids for an axis that only initializers have: those that one of them holds, or new ones."""
    sized = [
        name
        for name in operands
        if name in book.float_initializers
        and -axis <= len(book.shapes[name])
        and book.shapes[name][axis] == size
    ]
    if size == 1 or not sized:
        return None
    recorded = (book.axis(name, axis) for name in sized if name in book.axes)
    first_ids = next((ids for ids in recorded if ids is not None), None)
    return book.fresh(size) if first_ids is None else first_ids


def follow(node: Node, book: CouplingRecorder) -> None:
    """Pass ids, constants and origins of numbers from the first input to the first output."""
    source, target = node.input(0), node.outputs[0]
    book.pass_on(source, target, ids_or_fresh(source, book))
    constant = book.constant(source)
    if constant is not None:
        book.aliases[target] = constant
    follow_origins(node, book)


def follow_origins(node: Node, book: CouplingRecorder) -> None:
    """Pass on where the numbers of an integer vector stand."""
    if node.input(0) in book.origins or 0 in node.constants:
        book.origins[node.outputs[0]] = origins_of(node, 0, book)


def ids_or_fresh(value: str, book: CouplingRecorder) -> NodeAxes:
    """Return the ids of a value; an initializer that is read like an activation gets its first ones."""
    if value in book.float_initializers and value not in book.axes:
        shape = book.shapes[value]
        book.write(value, tuple(book.fresh(n) if n > 1 else None for n in shape))
    return book.ids(value)


def origins_of(node: Node, position: int, book: CouplingRecorder) -> tuple[Source, ...]:
    """Return where each number of an integer vector comes from."""
    if position in node.constants:
        count = node.constants[position].size
        return tuple(Origin(node, position, entry) for entry in range(count))
    value = node.input(position)
    shape = book.shapes[value]
    return book.origins.get(value, (None,) * (shape[0] if shape else 1))


def scale_origins(node: Node, book: CouplingRecorder) -> None:
    """Follow a number through its product with one that the run decides, as heads × batch."""
    for position, other in ((0, 1), (1, 0)):
        factor = book.numbers.get(node.input(other))
        if position not in node.constants or factor is None or factor.size != 1:
            continue
        if node.constants[position].size == 1 and other not in node.constants:
            times = int(factor.reshape(-1)[0])
            book.origins[node.outputs[0]] = (Origin(node, position, 0, times),)


def choose_origins(node: Node, book: CouplingRecorder) -> None:
    """Follow numbers through a choice, Where(shape = −1, ones, shape): each comes from the side that it equals."""
    chosen = book.numbers.get(node.outputs[0])
    sides = [book.numbers.get(node.input(position)) for position in (2, 1)]
    if chosen is None or any(side is None or side.shape != chosen.shape for side in sides):
        return
    sources = [origins_of(node, position, book) for position in (2, 1)]
    book.origins[node.outputs[0]] = tuple(
        next(
            (
                origins[entry]
                for side, origins in zip(sides, sources, strict=True)
                if _same(side, chosen, entry)
            ),
            None,
        )
        for entry in range(chosen.size)
    )


def _same(side: NDArray[Any] | None, chosen: NDArray[Any], entry: int) -> bool:
    return side is not None and bool(side.reshape(-1)[entry] == chosen.reshape(-1)[entry])


def state_width_at(source: Source, ids: NodeIds, book: CouplingRecorder) -> None:
    """Record that a number counts these ids, wherever it comes from; −1 and 0 follow by themselves."""
    if isinstance(source, Origin):
        if source.number > 0:
            counted = NodeIds(ids[: len(ids) // source.times])
            book.state_width(source.node, counted, input=source.input, entry=source.entry)
    elif isinstance(source, Follows):
        other = book.axis(source.value, source.axis)
        if other is None or other.shape != ids.shape:
            book.pin(ids, "its width is read from another value")
        elif other is not ids:
            book.unify(other, ids)
    else:
        book.pin(ids, "its width is computed in a way that is not followed")


def normal(axis: int, rank: int) -> int:
    """Return an axis counted from the left."""
    return axis + rank if axis < 0 else axis


def axis_in(axis: int, rank: int) -> int:
    """Return an axis counted from the left; raises IndexError for one that a value does not have."""
    if not -rank <= axis < rank:
        raise IndexError(f"there is no axis {axis} among {rank}")
    return normal(axis, rank)


def channels_only(node: Node, book: CouplingRecorder) -> None:
    """Pass on the ids along the channel axis, and none along space."""
    source = node.input(0)
    space = space_of(node, book)
    for output in node.outputs:
        if output:
            book.write(output, (book.axis(source, 0), book.axis(source, 1), *space))


def space_of(node: Node, book: CouplingRecorder, *, each_alone: bool = False) -> NodeAxes:
    """Return the ids along the axes behind the channels: where places are mixed, nodes that lie there must stay."""
    ids = book.ids(node.input(0))[2:]
    if each_alone:
        return ids
    for along in ids:
        book.pin(along, f"is an axis of space to {node.op_type}")
    return (None,) * len(ids)
