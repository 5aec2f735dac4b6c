"""Small nets of every shape that is supported, written in torch and exported by both of its exporters."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from examples.specimens.zoo.convolutional import CONVOLUTIONAL
from examples.specimens.zoo.doubles import DOUBLES
from examples.specimens.zoo.exporting import EXPORTERS, Input, export, settle
from examples.specimens.zoo.keeping import kept, kept_name
from examples.specimens.zoo.language import LANGUAGE
from examples.specimens.zoo.lookups import LOOKUPS
from examples.specimens.zoo.perceptrons import PERCEPTRONS
from examples.specimens.zoo.recurrent import RECURRENT
from examples.specimens.zoo.sound import SOUND
from examples.specimens.zoo.tables import TABLES
from examples.specimens.zoo.transformers import TRANSFORMERS
from examples.specimens.zoo.vision import VISION

__all__ = [
    "DOUBLES",
    "EXPORTERS",
    "NETS",
    "WITH_OPEN_LENGTHS",
    "Input",
    "Specimen",
    "every",
    "export",
    "lengthened",
    "settle",
    "specimen",
]

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

# Those that are exported with one length, and take any.
OF_ANY_LENGTH = (
    "two_inputs", "residual", "pre_activation", "depthwise", "squeeze_excite", "bottleneck", "shuffle", "dense", "c2f",
    "unet", "unet_resize", "pyramid", "convnext", "group_normed", "volumes", "pixel_shuffle", "lstm", "lstm_stacked",
    "gru", "gru_both_ways", "rnn", "reader", "decoder", "translator", "bag_of_words", "gru_by_hand",
    "gru_by_hand_repeated", "strongest_steps", "neighbours", "double_words", "windows",
)  # fmt: skip
NOT_BY_DYNAMO = {
    "lstm_stacked",
    "gru_both_ways",
    "rnn",
}  # it does not export these with open lengths
WITH_OPEN_LENGTHS = tuple(
    (name, exporter)
    for name in OF_ANY_LENGTH
    for exporter in EXPORTERS
    if exporter != "dynamo" or name not in NOT_BY_DYNAMO
)


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
    return _exported(name, exporter, NETS[name][1], "")


def lengthened(name: str, exporter: str) -> Specimen:
    """Return a net of any length from an exporter that leaves its lengths open."""
    inputs = tuple(_lengthened(spec) for spec in NETS[name][1])
    return _exported(name, exporter, inputs, "-any_length")


def every() -> Iterator[tuple[str, Callable[[], Specimen]]]:
    """Yield what every file of the zoo is called, and how to come by it."""
    for name in NETS:
        for exporter in EXPORTERS:
            yield file_name(name, exporter), functools.partial(specimen, name, exporter)
    for name, exporter in WITH_OPEN_LENGTHS:
        yield (
            file_name(name, exporter, "-any_length"),
            functools.partial(lengthened, name, exporter),
        )


def file_name(name: str, exporter: str, kind: str = "") -> str:
    """Return what the file of a net is called in this state of its code."""
    return kept_name(f"{name}-{exporter}{kind}", NETS[name][0].__module__)


def _exported(name: str, exporter: str, inputs: tuple[Input, ...], kind: str) -> Specimen:
    net, names, outputs = _settled(name, inputs)
    model = kept(
        file_name(name, exporter, kind), lambda: export(net, inputs, names, exporter, outputs)
    )
    return Specimen(name, net, model, dict(zip(names, inputs, strict=True)))


def _settled(
    name: str, inputs: tuple[Input, ...]
) -> tuple[nn.Module, tuple[str, ...], tuple[str, ...]]:
    """Return a net, and the names of its inputs and outputs."""
    torch.manual_seed(len(name))
    net = settle(NETS[name][0](), inputs)
    names = tuple(f"in{i}" for i in range(len(inputs)))
    return net, names, tuple(f"out{i}" for i in range(getattr(net, "outputs", 1)))


def _lengthened(spec: Input) -> Input:
    """Open the axes of space or time: all behind channels, or the steps of rows and tokens."""
    if spec.tokens or len(spec.shape) == 2:
        return replace(spec, free=((0, "steps"),))
    return replace(spec, free=tuple((axis, f"side{axis}") for axis in range(1, len(spec.shape))))
