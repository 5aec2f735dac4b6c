"""What is compared: data, net, rows, epochs and levels, sized so that two cores do the table in hours."""

from dataclasses import dataclass
from typing import Literal

NODES = (0.5, 0.2, 0.1, 0.05, 0.02)
MACS = (0.5, 0.25, 0.1)
SPARSITY = (0.9, 0.95, 0.98, 0.99, 0.995)
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
SEEDS = (0, 1, 2)
SMALL_RATES = RATES[1:]  # of the small run


@dataclass(frozen=True)
class Setting:
    """One starting model per seed, compressed to each level by each method."""

    name: str
    data: str
    net: str
    epochs: int
    rows: int | None = None
    resource: Literal["nodes", "macs", "links"] = "nodes"
    levels: tuple[float, ...] = NODES
    start_epochs: int = 15


PERCEPTRON = "500-500-500"
SETTINGS = (
    Setting("mnist-3x500-relu", "mnist", f"{PERCEPTRON}-relu", 20, 10_000),
    Setting("fashion-3x500-relu", "fashion_mnist", f"{PERCEPTRON}-relu", 12, 6_000),
    Setting("mnist-3x500-tanh", "mnist", f"{PERCEPTRON}-tanh", 12, 5_000),
    Setting("fashion-3x500-tanh", "fashion_mnist", f"{PERCEPTRON}-tanh", 12, 5_000),
    Setting("mnist-300-100-relu", "mnist", "300-100-relu", 12, 10_000),
    Setting("letter-2x200-relu", "letter", "200-200-relu", 20),
    Setting("satellite-2x200-relu", "satellite", "200-200-relu", 30),
    Setting("adult-2x200-relu", "adult", "200-200-relu", 10, 8_000),
    Setting("spam-2x200-relu", "spam", "200-200-relu", 30),
    Setting("california-2x200-relu", "california_housing", "200-200-relu", 12),
    Setting("mnist-vgg", "mnist", "vgg", 6, 4_000, "macs", MACS, 8),
    Setting("fashion-resnet", "fashion_mnist", "resnet", 6, 3_000, "macs", MACS, 8),
    Setting("mnist-links", "mnist", f"{PERCEPTRON}-relu", 12, 5_000, "links", SPARSITY),
    Setting("fashion-links", "fashion_mnist", f"{PERCEPTRON}-relu", 12, 5_000, "links", SPARSITY),
)
# A tenth: two levels, one seed, three learning rates, fewer rows.
SMALL = (
    Setting("small-mnist-3x500-relu", "mnist", f"{PERCEPTRON}-relu", 10, 4_000, levels=(0.1, 0.05)),
    Setting("small-letter-2x200-relu", "letter", "200-200-relu", 10, 4_000, levels=(0.2, 0.1)),
    Setting("small-mnist-vgg", "mnist", "vgg", 4, 2_000, "macs", (0.25,), 5),
    Setting("small-mnist-links", "mnist", f"{PERCEPTRON}-relu", 10, 4_000, "links", (0.95, 0.99)),
)
