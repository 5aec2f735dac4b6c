"""`/v1/datasets`."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from service.api import operations
from service.api.context import ContextDep
from service.api.datasets import service
from service.api.datasets.schemas import Dataset, DatasetFields
from service.api.downloads.respond import MEDIA_TYPE, respond_with_file
from service.api.idempotency import Key
from service.api.json_text import json_response
from service.api.pagination import CursorQuery, page
from service.api.query import refuse_unknown
from service.api.schemas import Page
from service.api.upload_room import room_of
from service.api.uploads.receive import receive
from service.api.uploads.respond import created

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])


@router.post(
    "",
    operation_id="createDataset",
    summary="Upload a data set",
    status_code=201,
    response_model=Dataset,
    responses=operations.UPLOAD_PROBLEMS,
    openapi_extra=operations.upload(
        DatasetFields, "an .npz, .csv or .parquet file, or a .zip or .tar of images"
    ),
)
async def create_dataset(request: Request, context: ContextDep, key: Key) -> Response:
    """Stream a data set to the store. The same bytes are stored once, however often they come."""
    room = await run_in_threadpool(room_of, context)
    received = await receive(request, context.artifacts, DatasetFields, room)
    body, replayed = await run_in_threadpool(service.create, context, received, key)
    return created(body, replayed)


@router.get(
    "",
    operation_id="listDatasets",
    summary="List data sets",
    response_model=Page[Dataset],
    responses=operations.problems("invalid-request"),
    dependencies=[Depends(refuse_unknown)],
)
def list_datasets(request: Request, context: ContextDep, cursor: CursorQuery) -> Response:
    """Return one page of data sets, the latest first unless asked otherwise."""
    return page(request, cursor, service.find(context, cursor), service.show)


@router.get(
    "/{dataset_id}",
    operation_id="getDataset",
    summary="Get a data set",
    response_model=Dataset,
    responses=operations.problems("not-found", "invalid-request"),
)
def get_dataset(dataset_id: str, context: ContextDep) -> Response:
    """Return what is known of a data set."""
    return json_response(service.show(service.get(context, dataset_id)))


@router.get(
    "/{dataset_id}/file",
    operation_id="downloadDatasetFile",
    summary="Download an uploaded data set",
    response_class=Response,
    responses=operations.ranged("the uploaded file", MEDIA_TYPE)
    | operations.problems("not-found", "invalid-request"),
)
def download_dataset_file(dataset_id: str, request: Request, context: ContextDep) -> Response:
    """Return the bytes as they were uploaded."""
    dataset = service.get(context, dataset_id)
    file_name = dataset.file_name or f"{dataset.id}.bin"
    return respond_with_file(
        request, context.artifacts, dataset.sha256, media_type=MEDIA_TYPE, file_name=file_name
    )
