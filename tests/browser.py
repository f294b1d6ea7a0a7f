"""A real headless browser for tests of pages, where there is one on this machine."""

import os
import shutil
import time

import pytest

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def until(page, expression, seconds=20):
    """Wait until a JavaScript expression is true; Playwright's own waiting evaluates text, which our pages forbid."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({expression})"):
        assert time.monotonic() < end, expression
        time.sleep(0.02)


@pytest.fixture
def browser_page():
    """Function that opens a file in a new page of 1400 × 900 pixels; what goes wrong in it fails the test."""
    api = pytest.importorskip("playwright.sync_api", reason="no browser to drive: pip install playwright")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser is installed; one of {', '.join(NAMES)}")
    # The browser's sandbox refuses to run for the superuser, as whom containers run tests.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    faults, asked = [], []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)

        def show(path):
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
            page.on("request", lambda request: asked.append(request.url))
            page.goto(path.resolve().as_uri())
            return page

        show.faults = faults
        yield show
        browser.close()
    assert faults == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
