"""Which representation an Accept header asks for."""

from __future__ import annotations

import pytest

from service.api.accept import prefers


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/html", True),
        ("text/html, */*", True),
        ("text/*", True),
        ("TEXT/HTML;charset=utf-8", True),
        ("application/json, text/html", False),
        ("application/json;q=0.5, text/html;q=0.9", True),
        ("application/json, text/html;q=0.9", False),
        ("text/html;q=0, */*", False),
        ("text/html;q=x", False),
        (";;,,q", False),
    ],
)
def test_html_is_sent_to_those_who_would_rather_have_it(accept: str | None, html: bool) -> None:
    assert prefers(accept, "text/html", over="application/json") is html
