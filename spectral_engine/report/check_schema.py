"""What `eigenpress check` tells of a data set beside a model, before anything trains."""

from __future__ import annotations

from pydantic import Field

from spectral_engine.report.schema import DataMeaning, DataSummary, MetricValue
from spectral_engine.report.section import Section


class DataCheck(Section):
    """A data set beside a model: how it was read, what it means, and what the original knows of it."""

    model_sha256: str
    data: DataSummary
    meaning: DataMeaning
    metric: str = Field(description="what candidates would be judged by")
    original: MetricValue = Field(description="the original on the validation rows")
    still: str | None = Field(
        None, description="why a floor in this metric would mean nothing, where that is so"
    )

    def to_json(self) -> str:
        """Return it as JSON text."""
        return self.model_dump_json(indent=2)
