"""Pictures of shapes in any colour, and a small net that tells them apart: made by Pillow and torch alone."""

import functools
import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

CLASSES = (
    "square",
    "cross",
    "disc",
)  # in the order of the net's outputs, which is not that of the alphabet
EACH, WIDTH, HEIGHT, SIDE = 150, 24, 20, 16


def _draw(kind: str, random: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), tuple(random.integers(0, 70, 3).tolist()))
    pen, colour = ImageDraw.Draw(image), tuple(random.integers(130, 256, 3).tolist())
    left, top = random.integers(1, WIDTH - 15), random.integers(1, HEIGHT - 15)
    box = (int(left), int(top), int(left) + 13, int(top) + 13)
    if kind == "square":
        pen.rectangle(box, outline=colour, width=3)
    elif kind == "disc":
        pen.ellipse(box, fill=colour)
    else:
        pen.line(box, fill=colour, width=3)
        pen.line((box[0], box[3], box[2], box[1]), fill=colour, width=3)
    return image


@functools.cache
def pictures() -> dict[str, bytes]:
    """Return PNG files by name, in one folder for each class."""
    random = np.random.default_rng(0)
    files = {}
    for number in range(EACH):
        for kind in CLASSES:
            buffer = io.BytesIO()
            _draw(kind, random).save(buffer, "PNG")
            files[f"{kind}/{number:03}.png"] = buffer.getvalue()
    return files


def save_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in pictures().items():
            archive.writestr(f"shapes/{name}", content)
    return path


def save_folder(path: Path) -> Path:
    for name, content in pictures().items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


@functools.cache
def arrays() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pictures as a model sees them [n, 3, 16, 16] in 0…1, and their classes [n]."""
    pixels = [
        np.asarray(Image.open(io.BytesIO(content)).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        for content in pictures().values()
    ]
    classes = [CLASSES.index(name.split("/")[0]) for name in pictures()]
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    return x, torch.tensor(classes)


class Rescaled(nn.Module):
    """The net for inputs of which x · scale + shift is 0…1, with its classes in the order of their names."""

    def __init__(self, net: nn.Module, scale: list[float], shift: list[float]) -> None:
        super().__init__()
        self.net = net
        self.scale, self.shift = (
            nn.Parameter(torch.tensor(v).reshape(1, -1, 1, 1), requires_grad=False)
            for v in (scale, shift)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x * self.scale + self.shift)[:, [CLASSES.index(c) for c in sorted(CLASSES)]]


@functools.cache
def trained() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(24 * 16, 24), nn.ReLU(), nn.Linear(24, 3),
    )  # fmt: skip
    x, y = arrays()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(12):
        for rows in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    return net.eval()


def save_net(path: Path, net: nn.Module | None = None) -> Path:
    torch.onnx.export(
        net or trained(), (arrays()[0][:2],), str(path), input_names=["pixels"], output_names=["scores"],
        dynamo=False, dynamic_axes={"pixels": {0: "n"}, "scores": {0: "n"}},
    )  # fmt: skip
    return path
