"""Small nets of every shape that is supported, written in torch and exported by both of its exporters."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from examples.specimens.zoo.convolutional import CONVOLUTIONAL
from examples.specimens.zoo.doubles import DOUBLES
from examples.specimens.zoo.exporting import EXPORTERS, Input, export, settle
from examples.specimens.zoo.keeping import kept
from examples.specimens.zoo.language import LANGUAGE
from examples.specimens.zoo.lookups import LOOKUPS
from examples.specimens.zoo.perceptrons import PERCEPTRONS
from examples.specimens.zoo.recurrent import RECURRENT
from examples.specimens.zoo.sound import SOUND
from examples.specimens.zoo.tables import TABLES
from examples.specimens.zoo.transformers import TRANSFORMERS
from examples.specimens.zoo.vision import VISION

__all__ = ["DOUBLES", "EXPORTERS", "NETS", "Input", "Specimen", "export", "settle", "specimen"]

NETS: dict[str, tuple[Callable[[], nn.Module], tuple[Input, ...]]] = {
    **PERCEPTRONS,
    **CONVOLUTIONAL,
    **RECURRENT,
    **TRANSFORMERS,
    **LOOKUPS,
    **DOUBLES,
    **VISION,
    **SOUND,
    **LANGUAGE,
    **TABLES,
}


@dataclass(frozen=True)
class Specimen:
    """A net, the ONNX file that an exporter wrote of it, and what it takes."""

    name: str
    net: nn.Module
    model: bytes
    inputs: dict[str, Input]

    def sample(self, batch: int, seed: int = 0, longer: int = 0) -> dict[str, Tensor]:
        """Return random rows, with free axes longer by so much."""
        generator = torch.Generator().manual_seed(seed)
        return {name: spec.sample(batch, generator, longer) for name, spec in self.inputs.items()}

    @property
    def lengths(self) -> tuple[int, ...]:
        """By how much longer than the example's the free axes are to be tried."""
        return (0, 4, 8) if any(spec.free for spec in self.inputs.values()) else (0,)


@functools.cache
def specimen(name: str, exporter: str = "torchscript") -> Specimen:
    """Build, settle its statistics on random data, and export; exported once for every state of the code of the zoo."""
    make, inputs = NETS[name]
    torch.manual_seed(len(name))
    net = settle(make(), inputs)
    names = tuple(f"in{i}" for i in range(len(inputs)))
    outputs = tuple(f"out{i}" for i in range(getattr(net, "outputs", 1)))
    model = kept(
        f"{name}-{exporter}",
        make.__module__,
        lambda: export(net, inputs, names, exporter, outputs),
    )
    return Specimen(name, net, model, dict(zip(names, inputs, strict=True)))
