"""Small models to make mutants of: every way in which values flow that an importer must follow."""

import onnx.parser
import torch
from torch import Tensor, nn

from examples.specimens.fuzz_free import FREE, SEVERAL, TIME_MAJOR, carried_state, exported
from examples.specimens.fuzz_written import classical, precise, read, rows
from examples.specimens.zoo import Input, export, specimen

BRANCHES = """<ir_version: 8, opset_import: ["": 17]> g (float[N, 6] x) => (float[N, 6] y) {
    total = ReduceSum<keepdims = 0>(x)
    zero = Constant<value = float {0.0}>()
    positive = Greater(total, zero)
    count = Constant<value = int64 {3}>()
    yes = Constant<value = bool {1}>()
    a = If(positive) <
        then_branch = then () => (float[N, 6] t) { t = Relu(x) },
        else_branch = other () => (float[N, 6] e) { e = Neg(x) }
    >
    y = Loop(count, yes, a) <
        body = step (int64 i, bool c, float[N, 6] v) => (bool d, float[N, 6] w) {
            d = Identity(c) w = Add(v, x)
        }
    >
}"""


class Reader(nn.Module):
    """Words, an LSTM, attention with a mask, and norms."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 8)
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.attend = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        seen, _ = self.lstm(self.words((x.abs() * 3).long() % 11))
        return self.head(self.attend(seen).mean(dim=1))


def fixed() -> dict[str, bytes]:
    """Return nets all of whose axes but the first have one length."""
    torch.manual_seed(0)
    models = {
        name: specimen(name).model
        for name in ("residual", "depthwise", "two_inputs", "signal", "without_bias", "vgg")
    }
    torch.backends.mha.set_fastpath_enabled(False)  # which the exporter cannot write
    models["reader"] = export(Reader().eval(), (Input((5,)),), ("in0",), "torchscript")
    torch.backends.mha.set_fastpath_enabled(True)
    models["branches"] = onnx.parser.parse_model(BRANCHES).SerializeToString()
    return models


def by_kind() -> dict[str, dict[str, bytes]]:
    """Return models by name, by what about them is hard."""
    torch.manual_seed(0)
    return {
        "fixed": fixed(),
        "free axes": exported(FREE),
        "rows": {**rows(), **exported(TIME_MAJOR), "carried_state": carried_state()},
        "read sizes": read(),
        "precision": precise(),
        "several outputs": exported(SEVERAL),
        "classical": classical(),
    }


def bases() -> dict[str, bytes]:
    """Return models by name."""
    return {name: model for models in by_kind().values() for name, model in models.items()}
