"""What a compressed model must meet."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, field_validator

from spectral_engine.records.part import Part

Ratio = Annotated[float, Field(gt=0.0, le=1.0)]
# In (0, 1] a ratio to the baseline; above 1 an absolute amount.
Budget = Annotated[float, Field(gt=0.0)]

POINTS = re.compile(
    r"\s*(?P<number>\d+\.?\d*|\.\d+)\s*(?P<unit>%|pts?|points?)?\s*$", re.IGNORECASE
)


def read_drop(text: str) -> float:
    """Return a drop as people write it, in the unit of a metric of 0 to 1; raises ValueError with the ways to write it.

    >>> read_drop("1pt"), read_drop("1.5 %"), read_drop("0.01")
    (0.01, 0.015, 0.01)
    """
    found = POINTS.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no drop: write 0.01, '1pt' or '1%' for one point")
    return float(found["number"]) / (100 if found["unit"] else 1)


class Target(Part):
    """What the result must meet, alone or together.

    A budget in (0, 1] is a ratio to the baseline; above 1 it is an absolute amount.
    """

    max_metric_drop: float | None = Field(
        None,
        ge=0.0,
        description="in the metric's own unit: 0.01 is one point of accuracy; '1pt' and '1%' say the same",
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1.0, description="of the intervals, and that max_metric_drop is kept"
    )
    max_macs: Budget | None = Field(None, description="multiply-adds of one sample")
    max_params: Budget | None = None
    max_bytes: Budget | None = Field(None, description="of the ONNX file, external data included")
    max_latency_ms: Budget | None = Field(
        None,
        description="median time of one row in onnxruntime, on one thread of the CPU that runs the job; up to 1 it is "
        "a ratio to the original's, measured beside it",
    )
    keep_nodes: Ratio | None = Field(None, description="share of the prunable nodes that stay")
    density: Ratio | None = Field(
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

    @property
    def narrowing(self) -> list[str]:
        """The fields that ask for fewer nodes."""
        return [
            name
            for name in ("keep_nodes", "max_macs", "max_params", "max_bytes", "max_latency_ms")
            if getattr(self, name) is not None
        ]
