"""Pads of convolutions and pools: stated, or worked out from `auto_pad`."""

from __future__ import annotations

from collections.abc import Sequence

from spectral_engine.onnx_io.node import Node


def explicit_pads(node: Node, spatial: int) -> list[int] | None:
    """Return [begin..., end...] as stated, or None where `auto_pad` asks for SAME."""
    if node.get("auto_pad", "NOTSET") in {"SAME_UPPER", "SAME_LOWER"}:
        return None
    pads: list[int] = node.get("pads", [0] * (2 * spatial))
    return [0] * (2 * spatial) if node.get("auto_pad", "NOTSET") == "VALID" else pads


def same_pads(
    node: Node, sizes: Sequence[int], extents: Sequence[int], strides: Sequence[int]
) -> list[int]:
    """Return pads that make the output ceil(size / stride) long; the odd one goes where `auto_pad` says."""
    begins, ends = [], []
    for size, extent, stride in zip(sizes, extents, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + extent - size)
        small, large = total // 2, total - total // 2
        upper = node.get("auto_pad", "NOTSET") == "SAME_UPPER"
        begins.append(small if upper else large)
        ends.append(large if upper else small)
    return begins + ends


def split_pads(pads: Sequence[int]) -> tuple[list[int], list[int] | None]:
    """Return pads that a convolution takes itself, and those to add before it, as torch's F.pad wants them."""
    spatial = len(pads) // 2
    begins, ends = list(pads[:spatial]), list(pads[spatial:])
    if begins == ends:
        return begins, None
    around = [pad for axis in reversed(range(spatial)) for pad in (begins[axis], ends[axis])]
    return [0] * spatial, around
