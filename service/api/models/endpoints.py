"""`/v1/models`."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from service.api import operations
from service.api.context import ContextDep
from service.api.downloads.external import respond_with_external
from service.api.downloads.respond import MEDIA_TYPE, respond_with_file
from service.api.idempotency import Key
from service.api.json_text import json_response
from service.api.models import service
from service.api.models.schemas import Model, ModelFields
from service.api.pagination import CursorQuery, page
from service.api.query import refuse_unknown
from service.api.schemas import Page
from service.api.upload_room import room_of
from service.api.uploads.multipart import EXTERNAL_FIELD, FILE_FIELD
from service.api.uploads.receive import receive
from service.api.uploads.respond import created

EXTERNAL = (
    "files that hold the model's external data, each under the name by which the model knows it"
)
router = APIRouter(prefix="/v1/models", tags=["models"])
FILE_FIELDS = (FILE_FIELD, EXTERNAL_FIELD)


@router.post(
    "",
    operation_id="createModel",
    summary="Upload an ONNX model",
    status_code=201,
    response_model=Model,
    responses=operations.UPLOAD_PROBLEMS,
    openapi_extra=operations.upload(ModelFields, "the ONNX file", external=EXTERNAL),
)
async def create_model(request: Request, context: ContextDep, key: Key) -> Response:
    """Stream a model to the store. The same bytes are stored once, however often they come."""
    room = await run_in_threadpool(room_of, context)
    received = await receive(request, context.artifacts, ModelFields, room, FILE_FIELDS)
    body, replayed = await run_in_threadpool(service.create, context, received, key)
    return created(body, replayed)


@router.get(
    "",
    operation_id="listModels",
    summary="List models",
    response_model=Page[Model],
    responses=operations.problems("invalid-request"),
    dependencies=[Depends(refuse_unknown)],
)
def list_models(request: Request, context: ContextDep, cursor: CursorQuery) -> Response:
    """Return one page of models, the latest first unless asked otherwise."""
    return page(request, cursor, service.find(context, cursor), service.show)


@router.get(
    "/{model_id}",
    operation_id="getModel",
    summary="Get a model",
    response_model=Model,
    responses=operations.problems("not-found", "invalid-request"),
)
def get_model(model_id: str, context: ContextDep) -> Response:
    """Return what is known of a model."""
    return json_response(service.show(service.get(context, model_id)))


@router.get(
    "/{model_id}/file",
    operation_id="downloadModelFile",
    summary="Download an uploaded model",
    response_class=Response,
    responses=operations.ranged("the uploaded file", MEDIA_TYPE)
    | operations.problems("not-found", "invalid-request"),
)
def download_model_file(model_id: str, request: Request, context: ContextDep) -> Response:
    """Return the bytes as they were uploaded."""
    model = service.get(context, model_id)
    file_name = model.file_name or f"{model.id}.onnx"
    return respond_with_file(
        request, context.artifacts, model.sha256, media_type=MEDIA_TYPE, file_name=file_name
    )


@router.get(
    "/{model_id}/external/{name}",
    operation_id="downloadModelExternal",
    summary="Download a file of a model's external data",
    response_class=Response,
    responses=operations.ranged("the uploaded file", MEDIA_TYPE)
    | operations.problems("not-found", "invalid-request"),
)
def download_model_external(
    model_id: str, name: str, request: Request, context: ContextDep
) -> Response:
    """Return the bytes as they were uploaded."""
    return respond_with_external(request, context, service.get(context, model_id), name)
