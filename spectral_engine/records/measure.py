"""How limits and shares are written: what annotates a target's fields for pydantic, and tells its ways to people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from spectral_engine.records.limit import Limit

NUMBER = r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
WRITTEN = re.compile(rf"(?P<number>{NUMBER}) *(?P<unit>[A-Za-z%]*)")
LONGEST = 40  # characters of a number with its unit: what is longer is no number that anybody means
PERCENT = Decimal("0.01")


def read_written(text: str, units: Mapping[str, str]) -> tuple[Decimal, str]:
    """Return number and unit of a text, which is '', '%' or one of `units`; raises ValueError for all else."""
    match = WRITTEN.fullmatch(text.strip()) if len(text) <= LONGEST else None
    if match is None or match["unit"] not in {"", "%", *units}:
        raise ValueError(f"{text[:LONGEST]!r}")
    return Decimal(match["number"]), match["unit"]


class ShareText:
    """Annotates a float in (0, 1] that may be written as a percentage too."""

    metavar = "R"
    ways = "0.5 or 50%"

    def __init__(self, *, narrows: bool) -> None:
        self.narrows = narrows

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read text, then check the number."""
        share = core_schema.float_schema(gt=0.0, le=1.0)
        return core_schema.no_info_before_validator_function(self.read, share)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Show both forms."""
        number = {"type": "number", "exclusiveMinimum": 0.0, "maximum": 1.0}
        return {"anyOf": [number, _text_schema("%?")]}

    def read(self, written: Any) -> Any:
        """Return the number that a text says; other things as they are."""
        if not isinstance(written, str):
            return written
        try:
            number, unit = read_written(written, {})
        except ValueError as error:
            raise ValueError(f"{error} is no share: write {self.ways}") from error
        return float(number * PERCENT if unit else number)


class Measure:
    """Annotates a `Limit` in units of its field: `units` says how much of the first one each of them is.

    `example` is an amount as people write it.
    """

    metavar = "R|N"
    narrows = True

    def __init__(self, units: Mapping[str, str], example: str) -> None:
        self.units, self.example = units, example
        self.base = next(iter(units))

    @property
    def ways(self) -> str:
        """The ways to write a limit."""
        return f"0.5 or 50% of the original's, or {self.example} (units: {', '.join(self.units)})"

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read every form, and write the plainest."""
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(Limit.to_json)
        )

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Show all forms, the same for what is read and for what is written."""
        above = {"type": "number", "exclusiveMinimum": 0.0}
        amount = {
            "type": "object",
            "properties": dict.fromkeys(self.units, above),
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        number = above | {"description": "up to 1 a share of the original's, above 1 an amount"}
        return {"anyOf": [number, _text_schema(f"({'|'.join(['%', *self.units])})?"), amount]}

    def read(self, written: Any) -> Limit:
        """Return the limit that is written; raises ValueError with the ways to write it."""
        try:
            return self._read(written)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{error}: write {self.ways}") from error

    def _read(self, written: Any) -> Limit:
        if isinstance(written, Limit):
            return self._of_limit(written)
        if isinstance(written, str):
            return self._of_text(written)
        if isinstance(written, Mapping):
            return self._of_object(written)
        return _of_number(_number(written), self.base)

    def _of_limit(self, limit: Limit) -> Limit:
        if limit.unit not in {None, self.base}:
            raise ValueError(f"{limit.unit!r} is no unit of this limit")
        return limit

    def _of_text(self, text: str) -> Limit:
        try:
            number, unit = read_written(text, self.units)
        except ValueError as error:
            raise ValueError(f"{error} is no limit") from error
        if unit == "%":
            return Limit(float(number * PERCENT))
        if unit == "":
            return _of_number(float(number), self.base)
        return self._amount(number, unit)

    def _of_object(self, written: Mapping[Any, Any]) -> Limit:
        if len(written) != 1 or next(iter(written)) not in self.units:
            raise ValueError("an object names one unit")
        [(unit, number)] = written.items()
        return self._amount(Decimal(str(_number(number))), unit)

    def _amount(self, number: Decimal, unit: str) -> Limit:
        return Limit(float(number * Decimal(self.units[unit])), self.base)


def _number(written: Any) -> float:
    if isinstance(written, bool) or not isinstance(written, Real):
        raise ValueError("a limit is a number, a text or an object")
    return float(written)


def _of_number(number: float, base: str) -> Limit:
    """Up to 1 a bare number is a share, above 1 an amount."""
    return Limit(number, base) if number > 1 else Limit(number)


def _text_schema(unit: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": LONGEST, "pattern": f"^{NUMBER} ?{unit}$"}


COUNT = {"k": "1e3", "M": "1e6", "G": "1e9"}
MACS = Measure({"macs": "1", **COUNT}, "5M")
PARAMS = Measure({"params": "1", **COUNT}, "5M")
BYTES = Measure(
    {
        "bytes": "1",
        "B": "1",
        "kB": "1e3",
        "MB": "1e6",
        "GB": "1e9",
        "KiB": "1024",
        "MiB": "1048576",
        "GiB": "1073741824",
    },
    "500kB",
)
LATENCY = Measure({"ms": "1", "us": "1e-3", "s": "1e3"}, "0.5ms")
NODES = ShareText(narrows=True)
LINKS = ShareText(narrows=False)
