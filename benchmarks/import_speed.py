"""Forward and backward of imported modules against the torch modules they came from, interleaved in one run.

    python -m benchmarks.import_speed [--rounds 30]

Same rows, same loss, no optimizer: the only difference is who runs the graph. Each net goes through both exporters of
torch. Times are of the processor, one thread. The ratio is the median over rounds of pairs measured side by side.
"""

import argparse
import io
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks import rows
from benchmarks.digits import perceptron
from spectral_engine.graph.loading import load

BATCH = 64
THREADS = 1
EXPORTERS = ("torchscript", "dynamo")


class Block(nn.Module):
    """Two convolutions and a way round them; exporters fold the norms away, so there are none here."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(before, width, 3, stride, 1)
        self.b = nn.Conv2d(width, width, 3, 1, 1)
        self.side = nn.Conv2d(before, width, 1, stride) if before != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.b(torch.relu(self.a(x))) + self.side(x))


def resnet() -> nn.Module:
    """ResNet-20's stages on 32 × 32 pixels, one block less each."""
    blocks = [Block(16, 16, 1), Block(16, 16, 1), Block(16, 32, 2), Block(32, 32, 1)]
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        *blocks,
        Block(32, 64, 2),
        Block(64, 64, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


class Layer(nn.Module):
    """Attention and feed-forward, normalised before each."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_a, self.norm_b = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        parts = self.qkv(self.norm_a(x)).reshape(n, length, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(seen.transpose(1, 2).reshape(n, length, width))
        return x + self.down(nn.functional.gelu(self.up(self.norm_b(x))))


class Vit(nn.Module):
    """A small vision transformer on 32 × 32 pixels: 64 patches, width 128, 4 layers."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 128, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, 128) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, 65, 128) * 0.02)
        self.layers = nn.Sequential(*[Layer(128, 4) for _ in range(4)])
        self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.positions
        return self.head(self.norm(self.layers(x))[:, 0])


class Lstm(nn.Module):
    """Two layers of 128 over 50 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(32, 128, 2, batch_first=True), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron 784-500-500-10": (lambda: perceptron((784, 500, 500, 10)), (784,)),
    "resnet-14": (resnet, (3, 32, 32)),
    "vit 4 x 128": (Vit, (3, 32, 32)),
    "lstm 2 x 128": (Lstm, (50, 32)),
}


def exported(net: nn.Module, shape: tuple[int, ...], exporter: str) -> bytes:
    file, example = io.BytesIO(), (torch.randn(2, *shape),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "torchscript":
            torch.onnx.export(
                net, example, file, dynamo=False, opset_version=17, input_names=["x"],
                output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
            )  # fmt: skip
        else:
            torch.onnx.export(
                net, example, file, dynamo=True, verbose=False, input_names=["x"],
                output_names=["y"], dynamic_shapes=({0: torch.export.Dim("n")},),
            )  # fmt: skip
    return file.getvalue()


def pass_of(
    forward: Callable[[Tensor], Tensor], parameters: list[nn.Parameter], x: Tensor, labels: Tensor
) -> Callable[[], float]:
    """Return one timed forward and backward."""

    def run() -> float:
        for parameter in parameters:
            parameter.grad = None
        begun = time.process_time()  # what others do on the machine is not counted
        nn.functional.cross_entropy(forward(x), labels).backward()
        return time.process_time() - begun

    return run


def measure(name: str, exporter: str, rounds: int) -> dict[str, object]:
    make, shape = NETS[name]
    torch.manual_seed(0)
    net = make().eval()
    module = load(exported(net, shape, exporter))
    x, labels = torch.randn(BATCH, *shape), torch.randint(10, (BATCH,))
    with torch.no_grad():
        difference = float((module(x=x)["y"] - net(x)).abs().max())
    trained = [module.initializer(key) for key in module.trainable]
    for key, parameter in module.named_parameters():
        parameter.requires_grad_(key in module.trainable)
    ours = pass_of(lambda rows_: module(x=rows_)["y"], trained, x, labels)
    theirs = pass_of(net, list(net.parameters()), x, labels)
    for _ in range(3):
        ours()
        theirs()
    pairs = [(ours(), theirs()) if turn % 2 else (theirs(), ours())[::-1] for turn in range(rounds)]
    return {
        "net": name,
        "exporter": exporter,
        "batch": BATCH,
        "threads": THREADS,
        "clock": "processor",
        "imported_ms": 1e3 * statistics.median(a for a, _ in pairs),
        "torch_ms": 1e3 * statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
        "largest_difference": difference,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=30)
    arguments.add_argument("--net", default="", help="only nets whose name holds this")
    arguments.add_argument("--dry", action="store_true", help="write no rows")
    chosen = arguments.parse_args()
    torch.set_num_threads(THREADS)
    for name in NETS:
        for exporter in EXPORTERS:
            if chosen.net in name:
                row = measure(name, exporter, chosen.rounds)
                print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
                if not chosen.dry:
                    rows.append("import_speed", row)


if __name__ == "__main__":
    main()
