"""Interim coupling rules."""

from __future__ import annotations

from math import prod

import numpy as np

from spectral_engine.graph.id_book import Transfer
from spectral_engine.graph.operators import registry


def meet(node, book):
    values = [n for n in node.inputs if n is not None]
    out = node.outputs[0]
    shape = book.shapes[out]
    r = len(shape)
    axes = []
    for axis in range(-r, 0):
        full = []
        init = []
        for v in values:
            s = book.shapes[v]
            if -axis > len(s):
                continue
            if v in book.initializers:
                if s[axis] == shape[axis] and shape[axis] > 1:
                    init.append(v)
                continue
            ids = book.axis(v, axis)
            if s[axis] == shape[axis]:
                full.append(ids)
            else:
                book.pin(ids, "one node is broadcast over many")
        ids = full[0] if full else None
        for o in full[1:]:
            ids = book.join(ids, o)
        axes.append(ids)
    book.write(out, tuple(axes))
    for v in values:
        if v in book.initializers:
            s = book.shapes[v]
            book.claim(v, tuple(axes[r - len(s) + i] if n > 1 else None for i, n in enumerate(s)))
    if node.op_type == "Add":
        for v, o in ((values[0], values[-1]), (values[-1], values[0])):
            t = book.transfer_before(v)
            if (
                t is not None
                and t.bias is None
                and o in book.initializers
                and prod(book.shapes[o]) == book.shapes[out][-1]
                and t.kind == "dense"
            ):
                book.extend_transfer(v, bias=o, output=out)
                break


def keep(node, book):
    book.pass_on(node.input(0), node.outputs[0])


def gemm(node, book):
    x, w = node.input(0), node.input(1)
    out = node.outputs[0]
    ia, oa = (1, 0) if node.get("transB", 0) else (0, 1)
    if w not in book.initializers:
        return registry_unknown(node, book)
    ids = book.fresh(book.shapes[w][oa])
    src = book.axis(x, -1)
    src = (
        src
        if src is not None
        else book.fresh_pinned(book.shapes[w][ia], "reads values that are not nodes")
    )
    ax = [None, None]
    ax[ia] = src
    ax[oa] = ids
    book.claim(w, tuple(ax))
    ids = book.axis(w, oa)
    book.write(out, (*book.ids(x)[:-1], ids))
    b = node.input(2) if node.has_input(2) else None
    if b is not None:
        book.claim(b, (ids,))
    book.add_transfer(
        Transfer(node.name, "dense", w, oa, ia, b, x, out, prod(book.shapes[out][1:-1]))
    )


def conv(node, book):
    x, w = node.input(0), node.input(1)
    out = node.outputs[0]
    ws = book.shapes[w]
    g = node.get("group", 1)
    ch = book.axis(x, 1)
    ch = (
        ch
        if ch is not None
        else book.fresh_pinned(book.shapes[x][1], "reads values that are not nodes")
    )
    sp = (None,) * (len(ws) - 2)
    macs = prod(ws[2:]) * prod(book.shapes[out][2:])
    b = node.input(2) if node.has_input(2) else None
    if g == 1:
        book.claim(w, (book.fresh(ws[0]), ch, *sp))
        kind = "conv"
        ia = 1
    elif g == ws[0] == book.shapes[x][1]:
        book.claim(w, (ch, None, *sp))
        kind = "depthwise"
        ia = None
        book.state_width(node, ch, attribute="group")
    else:
        book.pin(ch, "grouped")
        book.claim(w, (book.fresh_pinned(ws[0], "grouped"), None, *sp))
        kind = "conv"
        ia = 1
    ids = book.axis(w, 0)
    book.write(out, (None, ids, *sp))
    if b is not None:
        book.claim(b, (ids,))
    book.add_transfer(Transfer(node.name, kind, w, 0, ia, b, x, out, macs))


def bn(node, book):
    x, out = node.input(0), node.outputs[0]
    ids = book.axis(x, 1)
    book.write(out, book.ids(x))
    for p in (1, 2, 3, 4):
        book.claim(node.input(p), (ids,))
    t = book.transfer_before(x)
    if t is not None and t.norm_scale is None:
        book.extend_transfer(
            x, norm_scale=node.input(1), norm_bias=node.input(2), norm_mean=node.input(3)
        )


def channels(node, book):
    x, out = node.input(0), node.outputs[0]
    book.write(out, (None, book.axis(x, 1), *(None,) * (len(book.shapes[out]) - 2)))


def flat(node, book):
    x, out = node.input(0), node.outputs[0]
    a, b = book.shapes[x], book.shapes[out]
    ids = book.axis(x, 1) if len(a) > 1 else None
    if ids is None:
        return
    if len(b) == 2 and b[1] == prod(a[1:]):
        n = np.repeat(ids, prod(a[2:]))
        book.write(out, (None, n))
        if node.op_type == "Reshape" and 1 in node.constants and int(node.constants[1][1]) == b[1]:
            book.state_width(node, n, input=1, entry=1)
    elif (
        len(a) == 2
        and b[1] * prod(b[2:]) == a[1]
        and len(set(ids.reshape(b[1], -1)[0].tolist())) == 1
    ):
        n = ids.reshape(b[1], -1)[:, 0]
        book.write(out, (None, n, *(None,) * (len(b) - 2)))
    else:
        book.pin(ids, "reshaped")


def concat(node, book):
    out = node.outputs[0]
    r = len(book.shapes[out])
    ax = node.get("axis", 0) % r
    axes = []
    if len(book.shapes[out]) < 2:
        return
    for i in range(r):
        parts = [book.axis(v, i) for v in node.inputs]
        if i == ax and all(p is not None for p in parts):
            axes.append(np.concatenate(parts))
        else:
            ids = parts[0]
            for p in parts[1:]:
                ids = book.join(ids, p) if i != ax else (book.pin(p, "concat") or None)
            if i == ax:
                book.pin(parts[0], "concat")
                ids = None
            axes.append(ids)
    book.write(out, tuple(axes))


def nothing(node, book):
    pass


def registry_unknown(node, book):
    for v in node.inputs:
        if v is not None:
            book.pin_value(v, f"operator {node.op_type} has no coupling rule")


TABLE = {
    **dict.fromkeys(["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Where"], meet),
    **dict.fromkeys(
        [
            "Relu",
            "Sigmoid",
            "Tanh",
            "LeakyRelu",
            "Elu",
            "Selu",
            "Celu",
            "Gelu",
            "HardSigmoid",
            "HardSwish",
            "Softplus",
            "Softsign",
            "Mish",
            "Clip",
            "Identity",
            "Dropout",
            "Cast",
            "Erf",
            "Sqrt",
            "Exp",
            "Neg",
            "Abs",
        ],
        keep,
    ),
    "Gemm": gemm,
    "MatMul": gemm,
    "Conv": conv,
    "BatchNormalization": bn,
    **dict.fromkeys(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"], channels),
    "Flatten": flat,
    "Reshape": flat,
    "Concat": concat,
    "Shape": nothing,
}
for op, rule in TABLE.items():
    registry._rules.setdefault(("", op), rule)
