"""LSTM, GRU and RNN: torch's fused kernels where they compute the same, a plain loop over the steps otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Transfer
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

_VF: Any = torch._VF  # the kernels behind nn.LSTM, nn.GRU and nn.RNN
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# Where torch's gates stand in ONNX's order: iofc → ifgo, zrh → rzn.
ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
Activation = Callable[[Tensor], Tensor]
State = tuple[Tensor, ...]


@dataclass(frozen=True)
class Weights:
    """One direction: w [gates · hidden, in], r [gates · hidden, hidden], two biases, and peepholes."""

    w: Tensor
    r: Tensor
    input_bias: Tensor | None
    hidden_bias: Tensor | None
    peepholes: Tensor | None


def recurrent(node: Node, mode: Mode) -> Function:
    """Y [seq, directions, batch, hidden] and the last states [directions, batch, hidden]; `layout` 1: batch first."""
    directions = 2 if node.get("direction", "forward") == "bidirectional" else 1
    plain = _is_plain(node, directions)
    batch_first = bool(node.get("layout", 0))

    def function(
        x: Tensor,
        w: Tensor,
        r: Tensor,
        bias: Tensor | None = None,
        lengths: Tensor | None = None,
        h: Tensor | None = None,
        c: Tensor | None = None,
        peepholes: Tensor | None = None,
    ) -> Any:
        if batch_first:
            x, h, c = x.transpose(0, 1), _turned(h), _turned(c)
        hidden = r.shape[-1]
        nothing = x.new_zeros(directions, x.shape[1], hidden)
        states = [nothing if state is None else state for state in (h, c)]
        states = states if node.op_type == "LSTM" else states[:1]
        full = lengths is None or bool((lengths == x.shape[0]).all())
        weights = [_direction(w, r, bias, peepholes, direction) for direction in range(directions)]
        if plain and full and peepholes is None:
            y, last = _fused(node, x, weights, states)
        else:
            y, last = _looped(node, x, weights, states, None if full else lengths)
        if batch_first:  # y [batch, seq, directions, hidden], states [batch, directions, hidden]
            y, last = y.permute(2, 0, 1, 3), [state.transpose(0, 1) for state in last]
        outputs = (y, *last)
        return outputs if len(node.outputs) > 1 else y

    return function


def _turned(state: Tensor | None) -> Tensor | None:
    return None if state is None else state.transpose(0, 1)


def _is_plain(node: Node, directions: int) -> bool:
    """Tell whether torch's kernels compute this node."""
    names = tuple(name.capitalize() for name in node.get("activations", []))
    if node.op_type == "RNN":
        same = names in {(), ("Tanh",) * directions, ("Relu",) * directions}
    else:
        same = names in {(), DEFAULTS[node.op_type] * directions}
    tuned = any(node.get(key, None) for key in ("clip", "activation_alpha", "activation_beta"))
    if node.op_type == "GRU" and not node.get("linear_before_reset", 0):
        return False
    return same and not tuned and not node.get("input_forget", 0)


def _direction(
    w: Tensor, r: Tensor, bias: Tensor | None, peepholes: Tensor | None, direction: int
) -> Weights:
    from_input, from_hidden = (None, None) if bias is None else bias[direction].chunk(2)
    look = None if peepholes is None else peepholes[direction]
    return Weights(w[direction], r[direction], from_input, from_hidden, look)


def _fused(
    node: Node, x: Tensor, weights: list[Weights], states: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Run torch's kernel; a lone reverse direction is a forward one on the turned sequence."""
    _check_fit(node, x, weights, states)
    turned = node.get("direction", "forward") == "reverse"
    biased = weights[0].input_bias is not None
    flat = [
        _reordered(node, tensor)
        for one in weights
        for tensor in (one.w, one.r, one.input_bias, one.hidden_bias)
        if tensor is not None
    ]
    given = tuple(states) if node.op_type == "LSTM" else states[0]
    kernel, learns = _kernel(node), torch.is_grad_enabled()  # cuDNN keeps what a gradient needs
    with torch.autocast(x.device.type, enabled=False):
        kernel_outputs = kernel(
            x.flip(0) if turned else x, given, flat, biased, 1, 0.0, learns, len(weights) > 1, False
        )
    y, last = kernel_outputs[0], list(kernel_outputs[1:])
    y = y.flip(0) if turned else y
    return y.view(*y.shape[:2], len(weights), -1).transpose(1, 2), last


def _check_fit(node: Node, x: Tensor, weights: list[Weights], states: list[Tensor]) -> None:
    """Raise ValueError where shapes or types do not fit: the kernels trust them, and write outside otherwise."""
    hidden = weights[0].r.shape[-1]
    rows = GATES[node.op_type] * hidden
    wanted = [(x, (*x.shape[:2], x.shape[-1]))]
    for one in weights:
        wanted += [(one.w, (rows, x.shape[-1])), (one.r, (rows, hidden))]
        wanted += [(b, (rows,)) for b in (one.input_bias, one.hidden_bias) if b is not None]
    wanted += [(state, (len(weights), x.shape[1], hidden)) for state in states]
    for tensor, shape in wanted:
        if tuple(tensor.shape) != shape or tensor.dtype != x.dtype:
            raise ValueError(f"a tensor of shape {tuple(tensor.shape)} stands where {shape} is due")
    if not hidden or not x.numel():
        raise ValueError("nothing to run over")


def _kernel(node: Node) -> Any:
    if node.op_type != "RNN":
        return _VF.lstm if node.op_type == "LSTM" else _VF.gru
    relu = [name.capitalize() for name in node.get("activations", [])][:1] == ["Relu"]
    return _VF.rnn_relu if relu else _VF.rnn_tanh


def _reordered(node: Node, tensor: Tensor) -> Tensor:
    order = ORDER[node.op_type]
    if len(order) == 1:
        return tensor.contiguous()
    if node.op_type == "LSTM":  # forget and cell gate stand side by side in both orders
        size = len(tensor) // 4
        first, out, rest = torch.split(tensor, [size, size, 2 * size])
        return torch.cat([first, rest, out])
    gates = tensor.chunk(len(order))
    return torch.cat([gates[gate] for gate in order])


def _looped(
    node: Node, x: Tensor, weights: list[Weights], states: list[Tensor], lengths: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    outputs, lasts = [], []
    for direction, one in enumerate(weights):
        backwards = direction == 1 or node.get("direction", "forward") == "reverse"
        step = _step(node, one, direction)
        start = tuple(state[direction] for state in states)
        y, last = _run(step, _reversed(x, lengths) if backwards else x, start, lengths)
        outputs.append(_reversed(y, lengths) if backwards else y)
        lasts.append(last)
    return torch.stack(outputs, dim=1), [torch.stack(parts) for parts in zip(*lasts, strict=True)]


def _reversed(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn [seq, batch, ...] in time, each sample within its length."""
    if lengths is None:
        return x.flip(0)
    last = lengths.to(x.device).long()
    steps = torch.arange(x.shape[0], device=x.device)[:, None]
    source_steps = torch.where(steps < last, last - 1 - steps, steps)
    return x[source_steps, torch.arange(x.shape[1], device=x.device)]


def _run(
    step: Callable[[Tensor, State], State], x: Tensor, state: State, lengths: Tensor | None
) -> tuple[Tensor, State]:
    """Step through the sequence; past its length a sample keeps its state and gives zeros."""
    outputs = []
    last = None if lengths is None else lengths.to(x.device)[:, None]
    for time, now in enumerate(x):
        after = step(now, state)
        if last is None:
            state = after
            outputs.append(after[0])
        else:
            inside = time < last
            state = tuple(torch.where(inside, a, b) for a, b in zip(after, state, strict=True))
            outputs.append(torch.where(inside, after[0], torch.zeros_like(after[0])))
    empty = x.new_zeros(0, *state[0].shape)
    return (torch.stack(outputs) if outputs else empty), state


def _step(node: Node, weights: Weights, direction: int) -> Callable[[Tensor, State], State]:
    makers = {"LSTM": _lstm_step, "GRU": _gru_step, "RNN": _rnn_step}
    clip = node.get("clip", None)
    bound: Activation = (lambda z: z.clamp(-clip, clip)) if clip else (lambda z: z)
    return makers[node.op_type](node, weights, _activations(node, direction), bound)


def _lstm_step(
    node: Node, weights: Weights, act: list[Activation], bound: Activation
) -> Callable[[Tensor, State], State]:
    coupled = bool(node.get("input_forget", 0))
    look = weights.peepholes
    p_i, p_o, p_f = (None, None, None) if look is None else look.chunk(3)

    def step(x: Tensor, state: State) -> State:
        h, c = state
        z = F.linear(x, weights.w, weights.input_bias) + F.linear(h, weights.r, weights.hidden_bias)
        i, o, f, g = z.chunk(4, dim=-1)
        i = act[0](bound(i if p_i is None else i + p_i * c))
        f = 1 - i if coupled else act[0](bound(f if p_f is None else f + p_f * c))
        c = f * c + i * act[1](bound(g))
        o = act[0](bound(o if p_o is None else o + p_o * c))
        return o * act[2](c), c

    return step


def _gru_step(
    node: Node, weights: Weights, act: list[Activation], bound: Activation
) -> Callable[[Tensor, State], State]:
    linear_first = bool(node.get("linear_before_reset", 0))
    r_zr, r_h = torch.split(weights.r, [2 * weights.r.shape[1], weights.r.shape[1]])
    parts = [len(r_zr), len(r_h)]
    bias = weights.hidden_bias
    bias_zr, bias_h = (None, None) if bias is None else torch.split(bias, parts)

    def step(x: Tensor, state: State) -> State:
        (h,) = state
        from_x = F.linear(x, weights.w, weights.input_bias)
        x_zr, x_h = torch.split(from_x, parts, dim=-1)
        z, r = act[0](bound(x_zr + F.linear(h, r_zr, bias_zr))).chunk(2, dim=-1)
        if linear_first:
            new = act[1](bound(x_h + r * F.linear(h, r_h, bias_h)))
        else:
            new = act[1](bound(x_h + F.linear(r * h, r_h, bias_h)))
        return ((1 - z) * new + z * h,)

    return step


def _rnn_step(
    node: Node, weights: Weights, act: list[Activation], bound: Activation
) -> Callable[[Tensor, State], State]:
    def step(x: Tensor, state: State) -> State:
        z = F.linear(x, weights.w, weights.input_bias)
        return (act[0](bound(z + F.linear(state[0], weights.r, weights.hidden_bias))),)

    return step


def _activations(node: Node, direction: int) -> list[Activation]:
    """Return this direction's activations; alphas and betas are listed for those that take them, in order."""
    count = len(DEFAULTS[node.op_type])
    names = node.get("activations", None) or [*DEFAULTS[node.op_type]] * 2
    alphas, betas = iter(node.get("activation_alpha", [])), iter(node.get("activation_beta", []))
    built = []
    for name in names:
        kind = name.capitalize() if name.islower() or name.isupper() else name
        if kind not in ACTIVATIONS:
            raise node.unsupported(f"activation {name!r} is not supported")
        make, alpha, beta = ACTIVATIONS[kind]
        built.append(
            make(
                None if alpha is None else next(alphas, alpha),
                None if beta is None else next(betas, beta),
            )
        )
    return built[direction * count : (direction + 1) * count]


Made = Callable[[Any, Any], Activation]
# How each is made of alpha and beta, and their defaults; None where it takes none.
ACTIVATIONS: dict[str, tuple[Made, float | None, float | None]] = {
    "Relu": (lambda _a, _b: torch.relu, None, None),
    "Tanh": (lambda _a, _b: torch.tanh, None, None),
    "Sigmoid": (lambda _a, _b: torch.sigmoid, None, None),
    "Softsign": (lambda _a, _b: F.softsign, None, None),
    "Softplus": (lambda _a, _b: F.softplus, None, None),
    "Affine": (lambda a, b: lambda z: a * z + b, 1.0, 0.0),
    "LeakyRelu": (lambda a, _b: lambda z: F.leaky_relu(z, a), 0.01, None),
    "ThresholdedRelu": (lambda a, _b: lambda z: torch.where(z > a, z, 0 * z), 1.0, None),
    "ScaledTanh": (lambda a, b: lambda z: a * torch.tanh(b * z), 1.0, 1.0),
    "HardSigmoid": (lambda a, b: lambda z: (a * z + b).clamp(0, 1), 0.2, 0.5),
    "Elu": (lambda a, _b: lambda z: F.elu(z, a), 1.0, None),
}


def recurrent_coupling(node: Node, book: CouplingRecorder) -> None:
    """A hidden node is a row in every gate and a column of what the gates read back; both directions share it."""
    gates, directions = (
        GATES[node.op_type],
        2 if node.get("direction", "") == "bidirectional" else 1,
    )
    source, weight, back = node.input(0), node.input(1), node.input(2)
    hidden = book.fresh(book.shapes[back][2])
    rows = NodeIds(np.tile(hidden, gates))
    book.attach(weight, (None, rows, book.nodes_of(source, -1)))
    book.attach(back, (None, rows, hidden))
    biases, peepholes = NodeIds(np.tile(hidden, 2 * gates)), NodeIds(np.tile(hidden, 3))
    optional = {3: biases, 5: hidden, 6: hidden, 7: peepholes}
    for position, ids in optional.items():
        if node.has_input(position):
            rank = len(book.shapes[node.input(position)])
            book.attach(node.input(position), (*(None,) * (rank - 1), ids))
    book.state_width(node, hidden, attribute="hidden_size")
    for output in node.outputs:
        if output:
            book.write(output, (*(None,) * (len(book.shapes[output]) - 1), hidden))
    output = next(name for name in node.outputs if name)
    links = directions * book.positions(source, -1)
    for suffix, position, read in (("", 1, source), ("/recurrent", 2, output)):
        constant = book.constant(node.input(position))
        if constant is None:
            book.mix(
                node, position, 2, "sum"
            )  # computed weights are no transfer: what goes is kept out of the sum
            continue
        book.add_inner_transfer(
            Transfer(
                name=node.name + suffix, kind="recurrent", weight=constant[0], out_axis=constant[1][1],
                in_axis=constant[1][2], bias=None, source=read, output=output, macs_per_link=links,
            )
        )  # fmt: skip


register(
    {
        **dict.fromkeys(
            ("LSTM", "GRU", "RNN"),
            OperatorSpec(
                recurrent,
                recurrent_coupling,
                weights=(1, 2, 3, 7),
                read_by_python=(4,),
                in_single=True,
            ),
        ),
    },
)
