"""Models and data sets, seen from a client."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.api.datasets.schemas import Dataset
from service.api.models.schemas import Model
from service.api.schemas import Page
from service.client.files import OnBytes, download, upload
from service.client.packing import as_one_file
from service.client.transport import Transport
from spectral_engine.records.rows import RowsAxis, SeenByOriginal


class Models:
    """Uploaded ONNX models."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        external: Sequence[str | Path] = (),
        on_bytes: OnBytes | None = None,
    ) -> Model:
        """Upload a model; its name is the file's where none is given.

        `external` are the files of its external data; their names are those by which the model knows them.
        """
        file = Path(path)
        fields = {"name": name or file.name, "metadata": _json(metadata)}
        further = [Path(one) for one in external]
        answer = upload(self._transport, "/v1/models", file, fields, on_bytes, further)
        return Model.model_validate_json(answer.content)

    def get(self, model_id: str) -> Model:
        """Return one model."""
        answer = self._transport.request("GET", f"/v1/models/{model_id}")
        return Model.model_validate_json(answer.content)

    def list(self, **query: Any) -> Page[Model]:
        """Return one page of models; `limit`, `after`, `order`."""
        answer = self._transport.request("GET", "/v1/models", params=query)
        return Page[Model].model_validate_json(answer.content)

    def download(self, model_id: str, path: str | Path) -> Path:
        """Write the uploaded file to `path`."""
        return download(self._transport, f"/v1/models/{model_id}/file", Path(path))


class Datasets:
    """Uploaded data sets."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        path: str | Path,
        *,
        label: str | None = None,
        preprocessing: Mapping[str, Any] | None = None,
        labels: Mapping[str, Any] | None = None,
        seen_by_original: SeenByOriginal | None = None,
        rows_axis: RowsAxis | None = None,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        on_bytes: OnBytes | None = None,
    ) -> Dataset:
        """Upload a data set, a folder of images packed as a `.zip`; its name is the file's where none is given."""
        file = Path(path)
        fields = {
            "name": name or file.resolve().name,
            "metadata": _json(metadata),
            "label": label,
            "preprocessing": _json(preprocessing),
            "labels": _json(labels),
            "seen_by_original": _json(seen_by_original),
            "rows_axis": _json(rows_axis),
        }
        with as_one_file(file) as whole:
            answer = upload(self._transport, "/v1/datasets", whole, fields, on_bytes)
        return Dataset.model_validate_json(answer.content)

    def get(self, dataset_id: str) -> Dataset:
        """Return one data set."""
        answer = self._transport.request("GET", f"/v1/datasets/{dataset_id}")
        return Dataset.model_validate_json(answer.content)

    def list(self, **query: Any) -> Page[Dataset]:
        """Return one page of data sets; `limit`, `after`, `order`."""
        answer = self._transport.request("GET", "/v1/datasets", params=query)
        return Page[Dataset].model_validate_json(answer.content)

    def download(self, dataset_id: str, path: str | Path) -> Path:
        """Write the uploaded file to `path`."""
        return download(self._transport, f"/v1/datasets/{dataset_id}/file", Path(path))


def _json(value: object) -> str | None:
    """Return a field as JSON, whatever kind of mapping it is; None where it is not given."""
    return None if value is None else json.dumps(value, default=dict)
