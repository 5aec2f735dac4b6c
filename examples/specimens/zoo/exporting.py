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
    """What a net takes: its shape without the batch, and whether its entries are floats (of which type) or tokens."""

    shape: tuple[int, ...]
    tokens: bool = False
    dtype: torch.dtype = torch.float32

    def sample(self, batch: int, generator: torch.Generator) -> Tensor:
        if self.tokens:
            return torch.randint(0, TOKENS, (batch, *self.shape), generator=generator)
        return torch.randn(batch, *self.shape, generator=generator, dtype=self.dtype)


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
            net(*[found.sample(16, generator) for found in inputs])
    return net.eval()


def export(
    net: nn.Module,
    inputs: tuple[Input, ...],
    names: tuple[str, ...],
    exporter: str,
    outputs: tuple[str, ...] = ("out",),
    opset: int | None = None,
) -> bytes:
    """Export with a free batch size."""
    generator = torch.Generator().manual_seed(0)
    example, file = tuple(found.sample(2, generator) for found in inputs), io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "torchscript":
            torch.onnx.export(
                net, example, file, input_names=list(names), output_names=list(outputs),
                dynamic_axes={name: {0: "batch"} for name in (*names, *outputs)}, dynamo=False,
                opset_version=opset,
            )  # fmt: skip
        else:
            batch = torch.export.Dim("batch")
            torch.onnx.export(
                net, example, file, input_names=list(names), output_names=list(outputs),
                dynamic_shapes=tuple({0: batch} for _ in names), dynamo=True, verbose=False,
                opset_version=opset,
            )  # fmt: skip
    return file.getvalue()
