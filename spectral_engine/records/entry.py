"""What every part of an analysis is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Entry(BaseModel):
    """A part of an analysis: values do not change once made. Who reads one passes over what is new to it."""

    model_config = ConfigDict(extra="ignore", frozen=True)
