"""Fields that hold the name of something registered."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from spectral_engine.records.registry import Registry


class Registered:
    """Annotates a string that must be one of a registry's names, as they are when it is read."""

    def __init__(self, registry: Registry[Any]) -> None:
        self.registry = registry

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the name after it was read as a string."""
        return core_schema.no_info_after_validator_function(self._check, handler(str))

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """List the names."""
        return {"type": "string", "enum": list(self.registry.names())}

    def _check(self, name: str) -> str:
        names = self.registry.names()
        if name not in names:
            known = ", ".join(repr(known) for known in names[:-1])
            raise ValueError(f"Input should be {known} or {names[-1]!r}")
        return name
