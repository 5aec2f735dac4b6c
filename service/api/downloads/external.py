"""The files of a model's external data, of an uploaded one and of a candidate alike."""

from __future__ import annotations

from fastapi import Request, Response

from service.api.context import Context
from service.api.downloads.respond import MEDIA_TYPE, respond_with_file
from service.errors import NotFound
from service.store.candidates.records import CandidateRecord
from service.store.models.records import ModelRecord


def respond_with_external(
    request: Request, context: Context, owner: ModelRecord | CandidateRecord, name: str
) -> Response:
    """Return the file that belongs beside this model under this name. Raises NotFound."""
    for file in owner.external:
        if file["name"] == name:
            return respond_with_file(
                request, context.artifacts, file["sha256"], media_type=MEDIA_TYPE, file_name=name
            )
    raise NotFound(f"{owner.id} has no external file {name!r}.")
