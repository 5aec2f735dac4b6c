"""What a run leaves in its folder after a step: all that the next step reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from spectral_engine.methods.candidate import Built
from spectral_engine.methods.policy import Policy
from spectral_engine.methods.state import RunState
from spectral_engine.spectral.relevance import Relevance
from spectral_engine.training.checkpoint import load_checkpoint, save_checkpoint, to_tensor
from spectral_engine.training.trainer import Trainer


@dataclass(frozen=True)
class Checkpoint:
    """One file, replaced as a whole or not at all; a run that is not resumable leaves none."""

    folder: Path
    resumable: bool

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder / "checkpoint.safetensors"

    def save(
        self, state: RunState, trainer: Trainer, relevance: Relevance, policy: Policy, built: int
    ) -> None:
        """Write where the run stands, with how many candidates it has built."""
        if not self.resumable:
            return
        parts = {
            "trainer": trainer.tensors(),
            "state": state.tensors(),
            "relevance": {"running": to_tensor(relevance.running)},
            "policy": policy.tensors(),
        }
        numbers = {
            "state": state.numbers(),
            "built": built,
            "observed": relevance.observed,
            "steps": trainer.steps,
        }
        save_checkpoint(self.path, _flat(parts), numbers)

    def load(self, trainer: Trainer, relevance: Relevance, policy: Policy) -> Loaded | None:
        """Bring trainer, relevance and policy to where they were; None where there is no checkpoint."""
        stored = load_checkpoint(self.path)
        if stored is None:
            return None
        parts, numbers = _nested(stored[0]), stored[1]
        state = RunState.of(parts["state"], numbers["state"])
        if state.removed.any():
            trainer.narrow(state.removed)
        trainer.restore(parts["trainer"], numbers["steps"])
        relevance.attach(trainer.model)
        relevance.running = parts["relevance"]["running"].numpy()
        relevance.observed = numbers["observed"]
        policy.restore(trainer, state, parts.get("policy", {}))
        built = [
            Built.load(self.folder / f"candidate-{index}.onnx") for index in range(numbers["built"])
        ]
        return Loaded(state, built)


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint gave back."""

    state: RunState
    built: list[Built]


def _flat(parts: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{part}.{name}": t for part, tensors in parts.items() for name, t in tensors.items()}


def _nested(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    by_part: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        by_part.setdefault(part, {})[rest] = tensor
    return by_part
