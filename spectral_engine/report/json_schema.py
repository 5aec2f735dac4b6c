"""The report's JSON Schema: `python -m spectral_engine.report.json_schema > docs/report.schema.json`."""

from __future__ import annotations

import json
from typing import Any

from spectral_engine.records.report import Report


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of version 1 of the report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Report.model_json_schema(mode="serialization"),
    }


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1, sort_keys=True))
