"""`/v1/jobs/{id}/candidates` and the chosen model."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api import operations
from service.api.candidates import service
from service.api.candidates.schemas import CandidateList
from service.api.context import ContextDep
from service.api.downloads.external import respond_with_external
from service.api.downloads.respond import MEDIA_TYPE, respond_with_file
from service.api.json_text import json_response

router = APIRouter(prefix="/v1/jobs", tags=["results"])


@router.get(
    "/{job_id}/candidates",
    operation_id="listCandidates",
    summary="List the compressed models of a job",
    response_model=CandidateList,
    responses=operations.problems("not-found", "invalid-request"),
)
def list_candidates(job_id: str, context: ContextDep) -> Response:
    """Return every candidate so far, from wide to narrow; a running job's list grows."""
    return json_response(service.page(context, job_id), headers={"Cache-Control": "no-store"})


@router.get(
    "/{job_id}/candidates/{candidate_id}/model",
    operation_id="downloadCandidate",
    summary="Download one compressed model",
    response_class=Response,
    responses=operations.ranged("the ONNX file", MEDIA_TYPE)
    | operations.problems("not-found", "invalid-request"),
)
def download_candidate(
    job_id: str, candidate_id: str, request: Request, context: ContextDep
) -> Response:
    """Return a candidate as ONNX."""
    candidate = service.get(context, job_id, candidate_id)
    return respond_with_file(
        request,
        context.artifacts,
        candidate.sha256,
        media_type=MEDIA_TYPE,
        file_name=f"{candidate.id}.onnx",
    )


@router.get(
    "/{job_id}/candidates/{candidate_id}/model/external/{name}",
    operation_id="downloadCandidateExternal",
    summary="Download a file of a compressed model's external data",
    response_class=Response,
    responses=operations.ranged("the file", MEDIA_TYPE)
    | operations.problems("not-found", "invalid-request"),
)
def download_candidate_external(
    job_id: str, candidate_id: str, name: str, request: Request, context: ContextDep
) -> Response:
    """Return a file that belongs beside the candidate, under this name."""
    return respond_with_external(request, context, service.get(context, job_id, candidate_id), name)


@router.get(
    "/{job_id}/model",
    operation_id="downloadModel",
    summary="Download the chosen model",
    response_class=Response,
    responses=operations.ranged("the ONNX file", MEDIA_TYPE)
    | operations.problems("not-found", "result-not-ready", "invalid-request"),
)
def download_model(job_id: str, request: Request, context: ContextDep) -> Response:
    """Return the candidate that the job chose, as ONNX."""
    candidate, file_name = service.chosen(context, job_id)
    return respond_with_file(
        request, context.artifacts, candidate.sha256, media_type=MEDIA_TYPE, file_name=file_name
    )


@router.get(
    "/{job_id}/model/external/{name}",
    operation_id="downloadChosenExternal",
    summary="Download a file of the chosen model's external data",
    response_class=Response,
    responses=operations.ranged("the file", MEDIA_TYPE)
    | operations.problems("not-found", "result-not-ready", "invalid-request"),
)
def download_chosen_external(
    job_id: str, name: str, request: Request, context: ContextDep
) -> Response:
    """Return a file that belongs beside the chosen model, under this name."""
    return respond_with_external(request, context, service.chosen(context, job_id)[0], name)
