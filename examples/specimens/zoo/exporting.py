"""A torch net as an ONNX file, by either of torch's exporters."""

import io
import logging
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

EXPORTERS = ("torchscript", "dynamo")
TOKENS = 11  # size of the vocabulary


@dataclass(frozen=True)
class Input:
    """What a net takes: its shape without the batch, and whether its entries are floats (of which type) or tokens.

    `free` names the axes of a row whose length is open; axes of one name have one length.
    """

    shape: tuple[int, ...]
    tokens: bool = False
    dtype: torch.dtype = torch.float32
    free: tuple[tuple[int, str], ...] = ()

    def sample(self, batch: int, generator: torch.Generator, longer: int = 0) -> Tensor:
        """Return random rows, whose free axes are longer by so much."""
        shape = [*self.shape]
        for axis, _ in self.free:
            shape[axis] += longer
        if self.tokens:
            return torch.randint(0, TOKENS, (batch, *shape), generator=generator)
        return torch.randn(batch, *shape, generator=generator, dtype=self.dtype)

    @property
    def free_axes(self) -> dict[int, str]:
        """The open axes of a batch, by name."""
        return {0: "batch", **{axis + 1: name for axis, name in self.free}}


ROW, IMAGE, SIGNAL = Input((12,)), Input((3, 8, 8)), Input((24,))
SEQUENCE, SENTENCE, VOLUME = Input((6, 12)), Input((6,), tokens=True), Input((2, 4, 6, 6))


def settle(net: nn.Module, inputs: tuple[Input, ...]) -> nn.Module:
    """Give biases and running statistics values that are not the usual zeros and ones."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
        net.train()
        for _ in range(3):
            net(*[spec.sample(16, generator) for spec in inputs])
    return net.eval()


def export(
    net: nn.Module,
    inputs: tuple[Input, ...],
    names: tuple[str, ...],
    exporter: str,
    outputs: tuple[str, ...] = ("out",),
    opset: int | None = None,
) -> bytes:
    """Export with a free batch size, and with the inputs' free lengths."""
    free = {name: spec.free_axes for name, spec in zip(names, inputs, strict=True)}
    generator = torch.Generator().manual_seed(0)
    example, file = tuple(spec.sample(2, generator) for spec in inputs), io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "torchscript":
            torch.onnx.export(
                net, example, file, input_names=list(names), output_names=list(outputs),
                dynamic_axes={**free, **{name: {0: "batch"} for name in outputs}}, dynamo=False,
                opset_version=opset,
            )  # fmt: skip
        else:
            dims = {name: _dim(name) for axes in free.values() for name in axes.values()}
            torch.onnx.export(
                net, example, file, input_names=list(names), output_names=list(outputs),
                dynamic_shapes=tuple(
                    {axis: dims[called] for axis, called in free[name].items()} for name in names
                ),
                dynamo=True, verbose=False,
                opset_version=opset,
            )  # fmt: skip
    return file.getvalue()


def _dim(name: str) -> torch.export.Dim:
    # What a net asks of a length, as to be even, the exporter finds out where it is left to itself.
    return torch.export.Dim(name) if name == "batch" else torch.export.Dim.DYNAMIC
