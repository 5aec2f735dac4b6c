"""Fourier transforms, windows and mel filters."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from onnx import TensorProto
from torch import Tensor

from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.types import check_size, torch_type
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

# Coefficients of 1, cos(2πt) and cos(4πt).
WINDOWS: dict[str, tuple[float, float, float]] = {
    "HannWindow": (0.5, -0.5, 0.0),
    "HammingWindow": (25 / 46, -21 / 46, 0.0),
    "BlackmanWindow": (0.42, -0.5, 0.08),
}


def dft(node: Node, mode: Mode) -> Function:
    """Along an axis of [..., 1 or 2], real or complex; half of it, or the inverse, where the node says so."""
    inverse, half = bool(node.get("inverse", 0)), bool(node.get("onesided", 0))
    by_attribute = node.opset < 20
    stated = node.get("axis", 1)

    def function(x: Tensor, length: Tensor | None = None, axis: Tensor | None = None) -> Tensor:
        dim = stated if by_attribute else (-2 if axis is None else int(axis))
        dim = dim % x.dim()
        count = x.shape[dim] if length is None else int(length)
        if inverse and half:
            whole = torch.view_as_complex(x.contiguous())
            size = 2 * (x.shape[dim] - 1) if length is None else count
            real: Tensor = torch.fft.irfft(whole, size, dim=dim)
            return real.unsqueeze(-1)
        whole = torch.complex(
            x[..., 0], x[..., 1] if x.shape[-1] == 2 else torch.zeros_like(x[..., 0])
        )
        spectrum = (torch.fft.ifft if inverse else torch.fft.fft)(whole, count, dim=dim)
        spectrum = spectrum.narrow(dim, 0, count // 2 + 1) if half else spectrum
        return torch.view_as_real(spectrum)

    return function


def stft(node: Node, mode: Mode) -> Function:
    """Frames of a signal [batch, length, 1 or 2], each windowed and transformed."""
    half = bool(node.get("onesided", 1))

    def function(
        signal: Tensor, step: Tensor, window: Tensor | None = None, length: Tensor | None = None
    ) -> Tensor:
        if window is None and length is None:
            raise ValueError("neither a window nor the length of a frame is given")
        size = int(length) if length is not None else len(window)  # type: ignore[arg-type]
        frames = signal.unfold(1, size, int(step)).movedim(2, -1)  # [batch, frames, size, parts]
        if window is not None:
            frames = frames * F.pad(window, (0, size - len(window)))[:, None].to(frames)
        imaginary = frames[..., 1] if frames.shape[-1] == 2 else torch.zeros_like(frames[..., 0])
        spectrum = torch.fft.fft(torch.complex(frames[..., 0], imaginary), dim=-1)
        return torch.view_as_real(spectrum[..., : size // 2 + 1] if half else spectrum)

    return function


def window(node: Node, mode: Mode) -> Function:
    """A sum of cosines over `size` points; periodic, or symmetric."""
    a, b, c = WINDOWS[node.op_type]
    periodic = bool(node.get("periodic", 1))
    dtype = torch_type(node, node.get("output_datatype", TensorProto.FLOAT))

    def function(size: Tensor) -> Tensor:
        count = int(size)
        check_size(node, [count])
        turn = 2 * math.pi * torch.arange(count, dtype=torch.float64)
        turn = turn / max(1, count if periodic else count - 1)
        return (a + b * torch.cos(turn) + c * torch.cos(2 * turn)).to(dtype)

    return function


def mel_weights(node: Node, mode: Mode) -> Function:
    """Triangular filters, evenly spaced in mels [bins of the spectrum, mel bins]."""
    dtype = torch_type(node, node.get("output_datatype", TensorProto.FLOAT))

    def function(bins: Tensor, length: Tensor, rate: Tensor, low: Tensor, high: Tensor) -> Tensor:
        count, size = int(bins), int(length)
        spectrum = size // 2 + 1
        check_size(node, [count, spectrum])
        ends = [2595 * math.log10(1 + float(hertz) / 700) for hertz in (low, high)]
        step = (ends[1] - ends[0]) / (count + 2)
        mels = torch.arange(count + 2, dtype=torch.float64) * step + ends[0]
        edges = ((size + 1) * (700 * (10 ** (mels / 2595) - 1)) / int(rate)).floor().long()
        return _triangles(edges, spectrum, count).to(dtype)

    return function


def _triangles(edges: Tensor, spectrum: int, count: int) -> Tensor:
    filters = torch.zeros(spectrum, count, dtype=torch.float64)
    for i in range(count):
        start, peak, end = (int(edge) for edge in edges[i : i + 3])
        rise = torch.arange(start, peak + 1, dtype=torch.float64)
        if peak == start:
            filters[peak, i] = 1
        else:
            filters[start : peak + 1, i] = (rise - start) / (peak - start)
        if end > peak:
            fall = torch.arange(peak, end, dtype=torch.float64)
            filters[peak:end, i] = (end - fall) / (end - peak)
    return filters


def affine_grid(node: Node, mode: Mode) -> Function:
    """Places to read, moved by a matrix per sample."""
    corners = bool(node.get("align_corners", 0))

    def function(theta: Tensor, size: Tensor) -> Any:
        sizes = [int(n) for n in size]
        check_size(node, sizes)
        return F.affine_grid(theta, sizes, align_corners=corners)

    return function


register(
    {
        "DFT": OperatorSpec(dft, read_by_python=(1, 2), in_single=True),
        "STFT": OperatorSpec(stft, read_by_python=(1, 3), in_single=True),
        **dict.fromkeys(WINDOWS, OperatorSpec(window, read_by_python=(0,))),
        "MelWeightMatrix": OperatorSpec(mel_weights, read_by_python=(0, 1, 2, 3, 4)),
        "AffineGrid": OperatorSpec(affine_grid, read_by_python=(1,)),
    },
)
