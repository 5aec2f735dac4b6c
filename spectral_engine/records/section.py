"""What every part of the report is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the report."""

    model_config = ConfigDict(extra="forbid")
