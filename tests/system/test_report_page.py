"""The HTML report in a real browser: whole without a network, and no script of it fails."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.raw_http import stream, submit

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
QUICK = {"target": {"max_metric_drop": 0.3}, "training": {"epochs": 2}, "seed": 3}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(browser, service, files) -> str:
    """The address of a real job's report."""
    job = submit(service.url, files, **QUICK)
    assert list(stream(service.url, job["id"]))[-1]["type"] == "job.succeeded"
    return f"{service.url}/v1/jobs/{job['id']}/report"


class Visit:
    """A page, with all that it asked for and all that went wrong in it."""

    def __init__(self, context: BrowserContext) -> None:
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._note)

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.wrong.append(message.text)

    def asked_elsewhere(self, page_url: str) -> list[str]:
        return [url for url in self.asked if url != page_url and not url.startswith("data:")]


def test_a_saved_report_is_whole_without_a_network(browser, report, tmp_path):
    saved = tmp_path / "report.html"
    saved.write_text(httpx2.get(report, params={"format": "html"}).text)
    told = httpx2.get(report).json()
    context = browser.new_context(offline=True)
    visit = Visit(context)
    visit.page.goto(saved.as_uri(), wait_until="load")
    text = visit.page.inner_text("body")
    assert visit.asked_elsewhere(saved.as_uri()) == []
    assert visit.wrong == []
    chosen = next(one for one in told["candidates"] if one["chosen"])
    for number in (told["baseline"]["params"], chosen["measurement"]["params"]):
        assert f"{number:,}" in text or str(number) in text
    assert told["outcome_reason"] in text
    drawn = visit.page.locator("svg").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().width > 100).length"
    )
    assert drawn >= 3, "spectra, path, before and after"
    context.close()


def test_a_report_from_the_service_asks_for_nothing_else_and_runs_under_its_policy(browser, report):
    context = browser.new_context()
    visit = Visit(context)
    address = f"{report}?format=html"
    answer = visit.page.goto(address, wait_until="load")
    assert answer is not None
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert visit.asked_elsewhere(address) == []
    assert visit.wrong == []
    context.close()


def test_the_page_holds_its_numbers_for_programs_too(browser, report):
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.set_content(httpx2.get(report, params={"format": "html"}).text)
    embedded = page.locator('script[type="application/json"]').first.text_content()
    assert embedded is not None
    assert json.loads(embedded)
    context.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_at_the_side(browser, report, width):
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.set_content(httpx2.get(report, params={"format": "html"}).text)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
