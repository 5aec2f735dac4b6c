"""Errors that the engine raises, each with a stable code of the API's catalogue.

EngineError
├── InvalidRequest        invalid-request        a recipe or an argument that cannot be executed
├── ModelInvalid          model-invalid          bytes that are not a sound ONNX model
│   ├── UnsupportedOperator  unsupported-operator   a node that the engine cannot execute
│   └── ModelTooLarge        model-too-large        over a limit of bytes, nodes or elements
├── DatasetMismatch       dataset-mismatch       data that the model cannot take
├── TargetInfeasible      target-infeasible      a target that no cut of this model can meet
├── Internal              internal               an error that nobody foresaw
├── NumericMismatch       numeric-mismatch       cut and masked model disagree
├── RankLost              internal               one of several devices' processes has ended; worth another attempt
└── Diverged              diverged               training left the finite numbers
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


@dataclass(frozen=True)
class NodeRef:
    """The ONNX node that an error speaks of."""

    name: str
    op_type: str
    domain: str
    opset: int


class EngineError(Exception):
    """Base of all errors that the engine raises on purpose.

    `pointer` is a JSON pointer (RFC 6901) to the offending field of the request, where there is one.
    """

    code = "internal"
    retryable = False

    def __init__(
        self, detail: str, *, pointer: str | None = None, node: NodeRef | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.node = node

    def to_json(self) -> dict[str, object]:
        """Return `code`, `detail` and, where known, `pointer` and `node`."""
        body: dict[str, object] = {
            "code": self.code,
            "detail": self.detail,
            "retryable": self.retryable,
        }
        if self.pointer is not None:
            body["pointer"] = self.pointer
        if self.node is not None:
            body["node"] = asdict(self.node)
        return body


class InvalidRequest(EngineError):
    """A recipe or an argument that cannot be executed."""

    code = "invalid-request"

    @classmethod
    def of(cls, error: ValidationError, field: str) -> InvalidRequest:
        """Return the first fault that pydantic found in a field of the request, by its path."""
        first, *others = error.errors()
        path = "/".join(str(part) for part in (field, *first["loc"]))
        more = f" (and {len(others)} more)" if others else ""
        return cls(f"{path}: {first['msg']}{more}", pointer=f"#/{path}")


class ModelInvalid(EngineError):
    """Bytes that are not a sound ONNX model."""

    code = "model-invalid"


class UnsupportedOperator(ModelInvalid):
    """A node whose operator the engine cannot execute; `node` names it."""

    code = "unsupported-operator"


class ModelTooLarge(ModelInvalid):
    """A model over a limit of bytes, nodes or elements."""

    code = "model-too-large"


class DatasetMismatch(EngineError):
    """Data that the model cannot take; `pointer` names the array or column."""

    code = "dataset-mismatch"


class TargetInfeasible(EngineError):
    """A target that no cut of this model can meet."""

    code = "target-infeasible"


class Internal(EngineError):
    """An error that nobody foresaw: a fault of the engine."""


class NumericMismatch(EngineError):
    """The cut model and the masked model disagree by more than the tolerance."""

    code = "numeric-mismatch"


class RankLost(EngineError):
    """A process that computes on one of several devices has ended, or did not answer."""

    retryable = True


class Diverged(EngineError):
    """Training left the finite numbers, also at the lower learning rate."""

    code = "diverged"
