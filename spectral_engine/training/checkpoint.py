"""Checkpoints: tensors and numbers in one safetensors file, replaced as a whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
    """Write both; a reader sees the old file or the new one, never a part."""
    part = path.with_suffix(".part")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, part, metadata={"numbers": json.dumps(dict(numbers))})
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return tensors and numbers, or None where there is no whole checkpoint."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors: dict[str, Tensor] = {
                name: file.get_tensor(
                    name
                ).clone()  # out of the file's map, which a later save replaces
                for name in file.keys()  # noqa: SIM118
            }
            numbers: dict[str, Any] = json.loads(file.metadata()["numbers"])
    except (SafetensorError, KeyError, json.JSONDecodeError):
        return None
    return tensors, numbers


def to_tensor(flags: Any) -> Tensor:
    """Copy a numpy array into a tensor of its own."""
    return torch.from_numpy(flags.copy())
