"""How links are kept: the section `sparse` of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from spectral_engine.methods.sparse.link_pattern import WRITTEN, Pattern, parse_pattern
from spectral_engine.records.part import Part

Distribution = Literal["erk", "uniform"]


class Sparse(Part):
    """How a model is trained within a budget of links."""

    schedule: Literal["dense_to_sparse", "sparse_to_sparse"] = Field(
        "dense_to_sparse",
        description="links go while training, from all of them; or there are few from the start, and their places move",
    )
    pattern: str = Field(
        "unstructured",
        pattern=WRITTEN,
        description='"unstructured"; "N:M", at most N of M consecutive inputs; "block:RxC", rectangles of R outputs by '
        "C inputs",
    )
    distribution: Distribution = Field(
        "erk", description="of the links over the transfers: small ones denser (ERK), or all alike"
    )

    @field_validator("pattern")
    @classmethod
    def _read_pattern(cls, text: str) -> str:
        parse_pattern(text)
        return text

    @property
    def links(self) -> Pattern:
        """The pattern, read."""
        return parse_pattern(self.pattern)
