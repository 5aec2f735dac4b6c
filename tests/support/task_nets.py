"""Small nets for tasks beyond classes and numbers, trained on made-up data in a second or two, with these data."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE, CELL, GRID = 32, 8, 4


def export(
    net: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: list[str],
    outputs: tuple[str, ...] = ("answers",),
    *,
    frozen: bool = False,
) -> Path:
    """Write a net with these outputs and a free batch size, or frozen to that of the inputs."""
    rows = 1 if getattr(net, "steps_first", False) else 0
    axes = {**{name: {0: "n"} for name in names}, **{name: {rows: "n"} for name in outputs}}
    torch.onnx.export(
        net.eval(), inputs, str(path), input_names=names, output_names=[*outputs],
        dynamic_axes=None if frozen else axes, dynamo=False,
    )  # fmt: skip
    return path


def fit(net: nn.Module, loss, steps: int, rows: int, batch: int = 64, rate: float = 5e-3) -> None:
    """Train with Adam; `loss` takes the row numbers of a batch."""
    optimizer = torch.optim.Adam(net.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        chosen = torch.from_numpy(np.random.default_rng(step).integers(rows, size=batch))
        optimizer.zero_grad()
        loss(chosen).backward()
        optimizer.step()
        schedule.step()


class Detector(nn.Module):
    """One box for each of 4 × 4 cells, in YOLOv8's layout [n, 4 + classes, boxes]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(24, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Conv2d(32, 4 + 2, 1)
        places = torch.arange(GRID).float()
        self.register_buffer("x", places.repeat(GRID))
        self.register_buffer("y", places.repeat_interleave(GRID))

    def forward(self, images: Tensor) -> Tensor:
        raw = self.head(self.body(images)).flatten(2)
        return torch.cat([self.placed(raw), torch.sigmoid(raw[:, 4:])], 1)

    def placed(self, raw: Tensor) -> Tensor:
        """Return centre and size in pixels [n, 4, boxes] of what the head gives."""
        centre = torch.sigmoid(raw[:, :2])
        size = torch.sigmoid(raw[:, 2:4]) * SIDE
        x = (centre[:, :1] + self.x) * CELL
        y = (centre[:, 1:] + self.y) * CELL
        return torch.cat([x, y, size], 1)


class WithObjectness(nn.Module):
    """The same answers as YOLOv5 lays them out: [n, boxes, 4 + 1 + classes]."""

    def __init__(self, net: Detector) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        answers = self.net(images)
        sure = answers[:, 4:].amax(1, keepdim=True)
        return torch.cat([answers[:, :4], sure, answers[:, 4:] / sure], 1).transpose(1, 2)


class Finished(nn.Module):
    """The same answers as a list of boxes [n, boxes, 6]: two corners, score and class."""

    def __init__(self, net: Detector) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        answers = self.net(images)
        score, kind = answers[:, 4:].max(1, keepdim=True)
        low, high = (answers[:, :2] + sign * answers[:, 2:4] / 2 for sign in (-1, 1))
        return torch.cat([low, high, score, kind.float()], 1).transpose(1, 2)


class Compared(Finished):
    """The same list, with classes that come of comparing two scores: nothing in the graph chooses."""

    def forward(self, images: Tensor) -> Tensor:
        answers = self.net(images)
        scores = answers[:, 4:]
        kind = (scores[:, 1:] > scores[:, :1]).float()
        low, high = (answers[:, :2] + sign * answers[:, 2:4] / 2 for sign in (-1, 1))
        return torch.cat([low, high, scores.amax(1, keepdim=True), kind], 1).transpose(1, 2)


def squares(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images [n, 1, 32, 32] with one or two objects, full (class 0) or hollow (1), and boxes [n, 2, 5].

    Boxes are x1, y1, x2, y2 in pixels and the class; padding is −1.
    """
    rng = np.random.default_rng(seed)
    images = 0.1 * rng.normal(size=(rows, 1, SIDE, SIDE)).astype(np.float32)
    boxes = np.full((rows, 2, 5), -1.0, np.float32)
    for row in range(rows):
        halves = rng.permutation(2)[: rng.integers(1, 3)]
        for index, half in enumerate(halves):
            width, height = rng.integers(6, 14, 2)
            x = int(rng.integers(0, SIDE - width))
            y = int(half * 16 + rng.integers(0, 16 - height))
            kind = int(rng.integers(2))
            images[row, 0, y : y + height, x : x + width] += 1
            if kind:
                images[row, 0, y + 2 : y + height - 2, x + 2 : x + width - 2] -= 1
            boxes[row, index] = x, y, x + width, y + height, kind
    return images, boxes


def _box_loss(net: Detector, images: Tensor, boxes: Tensor) -> Tensor:
    answers = net(images)
    row, index = torch.nonzero(boxes[..., 4] >= 0, as_tuple=True)
    chosen = boxes[row, index]
    centre = (chosen[:, :2] + chosen[:, 2:4]) / 2
    wanted = torch.cat([centre, chosen[:, 2:4] - chosen[:, :2]], 1)
    cell = (centre[:, 1] // CELL * GRID + centre[:, 0] // CELL).long()
    scores = torch.zeros(len(images), GRID * GRID, 2)
    scores[row, cell, chosen[:, 4].long()] = 1
    apart = (answers[row, :4, cell] - wanted).abs().mean()
    return apart + 20 * F.binary_cross_entropy(answers[:, 4:].transpose(1, 2), scores)


@cache
def detector(*, steps: int = 240) -> Detector:
    """Return a trained detector."""
    torch.manual_seed(0)
    net = Detector()
    images, boxes = (torch.from_numpy(part) for part in squares(1500, 1))
    fit(net, lambda rows: _box_loss(net, images[rows], boxes[rows]), steps, 1500, batch=48)
    return net


ALPHABET = "abcdef"
WIDTH, STEPS = 6, 18  # columns of a character at most; of an image


class Reader(nn.Module):
    """Reads a strip [n, 1, 6, 18]: a class for each column [n, 18, 7], or [18, n, 7] as recurrent readers give it."""

    def __init__(self, *, blank_last: bool = False, steps_first: bool = False) -> None:
        super().__init__()
        self.blank_last, self.steps_first = blank_last, steps_first
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, (6, 5), padding=(0, 2)), nn.ReLU(),
            nn.Conv2d(24, 32, (1, 3), padding=(0, 1)), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(32, len(ALPHABET) + 1)

    @property
    def blank(self) -> int:
        """The class that stands for no character."""
        return len(ALPHABET) if self.blank_last else 0

    def forward(self, strips: Tensor) -> Tensor:
        logits = self.head(self.body(strips).squeeze(2).transpose(1, 2))
        return logits.transpose(0, 1) if self.steps_first else logits


def strips(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images of texts [n, 1, 6, 18], three columns a character, and the texts: one to five characters."""
    rng = np.random.default_rng(seed)
    shapes = np.random.default_rng(5).integers(0, 2, (len(ALPHABET), 6, 3))
    images = 0.25 * rng.normal(size=(rows, 1, 6, STEPS)).astype(np.float32)
    texts = []
    for row in range(rows):
        length = int(rng.integers(1, 6))
        text = rng.integers(0, len(ALPHABET), length)
        start = int(rng.integers(0, STEPS - 3 * length + 1))
        for position, character in enumerate(text):
            at = start + 3 * position
            images[row, 0, :, at : at + 3] += shapes[character]
        texts.append("".join(ALPHABET[character] for character in text))
    return images, np.array(texts)


def in_classes(texts: np.ndarray, first: int) -> np.ndarray:
    """Return class numbers [n, 5] of texts whose characters begin at class `first`; −1 behind the end."""
    classes = np.full((len(texts), 5), -1)
    for row, text in enumerate(texts):
        classes[row, : len(text)] = [ALPHABET.index(c) + first for c in text]
    return classes


def _read_loss(net: Reader, images: Tensor, labels: Tensor) -> Tensor:
    logs = net(images).transpose(0, 1).log_softmax(-1)
    lengths = (labels >= 0).sum(1)
    steps = torch.full_like(lengths, STEPS)
    return F.ctc_loss(logs, labels.clamp_min(0), steps, lengths, net.blank, zero_infinity=True)


@cache
def reader(*, blank_last: bool = False, steps: int = 300) -> Reader:
    """Return a trained reader; the blank may be moved behind the characters."""
    if blank_last:
        net = Reader(blank_last=True)
        net.load_state_dict(reader().state_dict())
        with torch.no_grad():
            for part in (net.head.weight, net.head.bias):
                part.copy_(part.roll(-1, 0).clone())
        return net
    torch.manual_seed(0)
    net = Reader()
    images, texts = strips(1500, 1)
    x, y = torch.from_numpy(images), torch.from_numpy(in_classes(texts, 1))
    fit(net, lambda rows: _read_loss(net, x[rows], y[rows]), steps, 1500, rate=1e-2)
    return net


WORDS, LENGTH, TOPICS = 60, 8, 6


class Encoder(nn.Module):
    """Embeds sentences: word numbers and mask, both [n, 8], to [n, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 24)
        self.inner, self.outer = nn.Linear(24, 48), nn.Linear(48, 16)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        hidden = torch.relu(self.inner(self.words(ids)))
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return self.outer((hidden * weights).sum(1) / weights.sum(1))


def sentences(pairs: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return both sides of pairs of sentences, and how much their topics have in common [pairs]."""
    rng = np.random.default_rng(seed)
    inputs, shares = {}, []
    common = rng.dirichlet(np.full(TOPICS, 0.6), pairs)
    for side in "ab":
        individual = rng.dirichlet(np.full(TOPICS, 0.6), pairs)
        mixture = np.where(rng.random(pairs)[:, None] < 0.5, common, individual)
        mask = (np.arange(LENGTH) < rng.integers(4, LENGTH + 1, pairs)[:, None]).astype(np.int64)
        topics = np.array([rng.choice(TOPICS, LENGTH, p=row) for row in mixture])
        ids = topics * (WORDS // TOPICS) + rng.integers(0, WORDS // TOPICS, topics.shape)
        inputs[f"ids_{side}"], inputs[f"mask_{side}"] = ids * mask, mask
        counts = np.stack([((topics == k) * mask).sum(1) for k in range(TOPICS)], 1)
        shares.append(counts / np.linalg.norm(counts, axis=1, keepdims=True))
    return inputs, (shares[0] * shares[1]).sum(1).astype(np.float32)


@cache
def encoder(*, steps: int = 250) -> Encoder:
    """Return a trained encoder."""
    torch.manual_seed(0)
    net = Encoder()
    inputs, scores = sentences(3000, 1)
    x, y = {name: torch.from_numpy(a) for name, a in inputs.items()}, torch.from_numpy(scores)

    def loss(rows: Tensor) -> Tensor:
        left, right = (net(x[f"ids_{s}"][rows], x[f"mask_{s}"][rows]) for s in "ab")
        return F.mse_loss(F.cosine_similarity(left, right), y[rows])

    fit(net, loss, steps, 3000, rate=1e-2)
    return net


class UNet(nn.Module):
    """Segments images [n, 1, 16, 16]: the class of each pixel [n, classes, 16, 16]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 12, 3, 1, 1), nn.ReLU())
        self.deep = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(12, 24, 3, 1, 1), nn.ReLU())
        self.up = nn.ConvTranspose2d(24, 12, 2, 2)
        self.out = nn.Sequential(nn.Conv2d(24, 12, 3, 1, 1), nn.ReLU(), nn.Conv2d(12, classes, 1))

    def forward(self, images: Tensor) -> Tensor:
        wide = self.down(images)
        return self.out(torch.cat([wide, self.up(self.deep(wide))], 1))


def shapes(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images [n, 1, 16, 16] with a full and a hollow square, and masks [n, 16, 16] of 0, 1 and 2."""
    images, boxes = squares(rows, seed)
    small = images[:, :, ::2, ::2]
    masks = np.zeros((rows, SIDE, SIDE), np.int64)
    for mask, row in zip(masks, boxes, strict=True):
        for x1, y1, x2, y2, kind in row[row[:, 4] >= 0].astype(int):
            mask[y1:y2, x1:x2] = kind + 1
    return small, masks[:, ::2, ::2]


@cache
def unet(classes: int = 3, *, steps: int = 90) -> UNet:
    """Return a trained U-Net; with one class it says whether there is anything."""
    torch.manual_seed(0)
    net = UNet(classes)
    images, masks = (torch.from_numpy(part) for part in shapes(800, 1))

    def loss(rows: Tensor) -> Tensor:
        answers = net(images[rows])
        if classes == 1:
            return F.binary_cross_entropy_with_logits(answers[:, 0], (masks[rows] > 0).float())
        return F.cross_entropy(answers, masks[rows])

    fit(net, loss, steps, 800, batch=32)
    return net
