"""The pages that problem types point to."""

from __future__ import annotations

from html import escape
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import HTMLResponse

from service.api import operations
from service.api.problems.catalogue import explanation, known_codes, status_and_title
from service.errors import NotFound

router = APIRouter(tags=["problems"])

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:1rem/1.5 system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem}}
code{{font-size:.95em}}</style>
<h1>{title}</h1><p><code>{code}</code> · HTTP {status}</p><p>{text}</p></html>
"""


@router.get(
    "/problems/{code}",
    operation_id="getProblem",
    summary="What a problem type means",
    response_class=HTMLResponse,
    responses=operations.problems("not-found", "invalid-request"),
)
def get_problem(code: Annotated[str, Path(max_length=64)]) -> HTMLResponse:
    """Explain a problem type to a person."""
    if code not in known_codes():
        raise NotFound(f"There is no problem type {code!r}.")
    status, title = status_and_title(code)
    text = escape(explanation(code))
    return HTMLResponse(PAGE.format(title=escape(title), code=code, status=status, text=text))
