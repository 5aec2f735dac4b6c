"""The OpenAPI document is a promise: it changes only on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"
OPERATIONS = {
    "createModel", "listModels", "getModel", "downloadModelFile", "downloadModelExternal",
    "createDataset", "listDatasets", "getDataset", "downloadDatasetFile",
    "analyzeModel", "listAnalyses", "getAnalysis",
    "createJob", "listJobs", "getJob", "cancelJob", "listJobEvents",
    "listCandidates", "downloadCandidate", "downloadModel", "getReport",
    "downloadCandidateExternal", "downloadChosenExternal",
    "getHealth", "getReadiness", "getMetrics", "getProblem",
}  # fmt: skip


@pytest.fixture
def document(api: TestClient) -> dict[str, Any]:
    schema: dict[str, Any] = api.get("/openapi.json").json()
    return schema


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_the_committed_document_is_the_one_that_is_served(document: dict[str, Any]) -> None:
    committed = json.loads(COMMITTED.read_text())

    assert document == committed, "run: python -m service.api.openapi > docs/openapi.json"


def test_operation_ids_are_stable(document: dict[str, Any]) -> None:
    assert {operation["operationId"] for operation in operations(document)} == OPERATIONS


def test_every_error_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            if status.startswith("4"):
                content = answer["content"]["application/problem+json"]
                assert content["schema"]["$ref"].endswith("/Problem"), operation["operationId"]


def test_uploads_are_documented_as_form_and_as_raw_bytes(document: dict[str, Any]) -> None:
    for path in ("/v1/models", "/v1/datasets"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        assert set(content) == {"multipart/form-data", "application/octet-stream"}
        assert content["multipart/form-data"]["schema"]["required"] == ["file"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            direct = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return direct + [ref for value in node.values() for ref in references(value)]
        if isinstance(node, list):
            return [ref for value in node for ref in references(value)]
        return []

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known
