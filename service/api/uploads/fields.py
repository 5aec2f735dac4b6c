"""The fields that come with a file, in a form or in the query: read by one set of rules."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from service.api.problems.handlers import summary, validation_errors
from service.errors import InvalidRequest

Fields = TypeVar("Fields", bound=BaseModel)
JSON_FIELDS = {"metadata", "preprocessing", "labels", "seen_by_original", "rows_axis"}


def read_fields(schema: type[Fields], given: Iterable[tuple[str, str]], location: str) -> Fields:
    """Return the validated fields; those that hold JSON are given as JSON text.

    Raises InvalidRequest that names the field: unknown, given twice, not JSON, or out of range.
    """
    values: dict[str, Any] = {}
    for name, text in given:
        if name in values:
            refuse(name, "given more than once", location)
        values[name] = _from_json(name, text, location) if name in JSON_FIELDS else text
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        items = validation_errors(error.errors(), location)
        raise InvalidRequest(summary(items), errors=items) from None


def _from_json(name: str, text: str, location: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        refuse(name, "not JSON", location)


def refuse(name: str, detail: str, location: str) -> NoReturn:
    """Raise InvalidRequest for one field."""
    item = {"detail": detail, "pointer": f"#/{name}", "location": location}
    raise InvalidRequest(f"{name}: {detail}", errors=[item])
