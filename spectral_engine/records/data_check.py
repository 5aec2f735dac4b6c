"""What `eigenpress check` tells of a data set beside a model, before anything trains."""

from __future__ import annotations

from pydantic import Field

from spectral_engine.records.report import DataMeaning, DataSummary, MetricValue
from spectral_engine.records.section import Section


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

    def __str__(self) -> str:
        """Return what a person wants to know, a line each."""
        data, meaning = self.data, self.meaning
        lines = [
            f"rows      {data.train_rows:,} to train on, {data.validation_rows:,} to choose by, "
            f"{data.test_rows:,} held out ({data.split} split)",
            f"labels    {meaning.reading}, of output {meaning.output!r} ({meaning.form})",
        ]
        if meaning.classes is not None:
            shown = ", ".join(meaning.classes[:12]) + (", …" if len(meaning.classes) > 12 else "")
            lines.append(f"classes   {shown} (order: {meaning.order})")
        if meaning.ignore is not None:
            lines.append(f"ignored   {meaning.ignore}")
        lines.append(f"original  {self._original()}")
        lines += [f"why       {reason}" for reason in meaning.why]
        lines += [f"or else   {other.reading}: {other.original}" for other in meaning.tried]
        lines += [f"note      {note}" for note in data.notes]
        if self.still is not None:
            lines.append(f"warning   {self.still}: max_metric_drop would be refused in this metric")
        return "\n".join(lines)

    def _original(self) -> str:
        """Say what the original reaches; compared with itself it is the reference, and nothing is measured."""
        reached = self.original
        if reached.against == "original":
            return f"the reference, by definition: {self.metric} to it is what candidates are judged by"
        low, high = reached.interval.low, reached.interval.high
        return f"{self.metric} {reached.value:.4g} on validation rows ({low:.4g} to {high:.4g})"
