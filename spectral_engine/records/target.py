"""What a compressed model must meet."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, get_args

from pydantic import Field, field_validator

from spectral_engine.records.limit import Limit
from spectral_engine.records.measure import (
    BYTES,
    LATENCY,
    LINKS,
    MACS,
    NODES,
    PARAMS,
    Measure,
    ShareText,
)
from spectral_engine.records.part import Part

__all__ = ["POINTS", "Limit", "Target", "narrowing_fields", "read_drop", "way_of"]

POINTS = re.compile(
    r"\s*(?P<number>(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)\s*(?P<unit>%|pts?|points?)?\s*$", re.IGNORECASE
)


def read_drop(text: str) -> float:
    """Return a drop as people write it, in the unit of a metric of 0 to 1; raises ValueError with the ways to write it.

    >>> read_drop("1pt"), read_drop("1.5 %"), read_drop("0.01")
    (0.01, 0.015, 0.01)
    """
    match = POINTS.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no drop: write 0.01, '1pt' or '1%' for one point")
    return float(match["number"]) / (100 if match["unit"] else 1)


class Target(Part):
    """What the result must meet, alone or together.

    A limit is a share of the original's (0.5, "50%") or an amount ("0.5ms", {"ms": 0.5}, "500kB", "5M"); a bare number
    above 1 is an amount too.
    """

    max_metric_drop: float | None = Field(
        None,
        ge=0.0,
        description="most that the metric may get worse, in its own unit: 0.01 is one point of accuracy; '1pt' and "
        "'1%' say the same; 0.01 where no target is given",
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1.0, description="of the intervals, and that max_metric_drop is kept"
    )
    max_macs: Annotated[Limit, MACS] | None = Field(None, description="multiply-adds of one sample")
    max_params: Annotated[Limit, PARAMS] | None = Field(None, description="parameters")
    max_bytes: Annotated[Limit, BYTES] | None = Field(
        None, description="of the ONNX file, external data included"
    )
    max_latency_ms: Annotated[Limit, LATENCY] | None = Field(
        None,
        description="median time of one row in onnxruntime, on one thread of the CPU that runs the job; a share is of "
        "the original's, measured beside it",
    )
    keep_nodes: Annotated[float, NODES] | None = Field(
        None, description="share of the prunable nodes that stay"
    )
    density: Annotated[float, LINKS] | None = Field(
        None,
        description="share of the links of all transfers that stay (sparse); 0.1 when not given",
    )

    @field_validator("max_metric_drop", mode="before")
    @classmethod
    def _read_points(cls, drop: Any) -> Any:
        return read_drop(drop) if isinstance(drop, str) else drop

    @property
    def is_empty(self) -> bool:
        """True when nothing is asked for."""
        return not self.model_dump(exclude_none=True, exclude={"confidence"})

    def amounts(self, original: Callable[[str], float]) -> dict[str, float]:
        """Return the limits of what is counted, by resource; `original` says what the uploaded model takes of it."""
        asked = {
            "macs": self.max_macs,
            "params": self.max_params,
            "bytes": self.max_bytes,
            "nodes": None if self.keep_nodes is None else Limit(self.keep_nodes),
        }
        return {
            name: limit.of(original(name)) for name, limit in asked.items() if limit is not None
        }

    @property
    def narrowing(self) -> list[str]:
        """The fields that ask for fewer nodes."""
        return [name for name in narrowing_fields() if getattr(self, name) is not None]


def way_of(field: str) -> Measure | ShareText | None:
    """Return how a field of the target is written, or None for a plain number."""
    for part in get_args(Target.model_fields[field].annotation):
        for way in getattr(part, "__metadata__", ()):
            if isinstance(way, Measure | ShareText):
                return way
    return None


def narrowing_fields() -> list[str]:
    """Return the fields of a target that ask for fewer nodes."""
    ways = {name: way_of(name) for name in Target.model_fields}
    return [name for name, way in ways.items() if way is not None and way.narrows]
