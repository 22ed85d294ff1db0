"""A page in Chromium, for the tests of the report."""

import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright


def chromium_path():
    """Path of a Chromium to test with, or skip."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not path:
        pytest.skip("no Chromium here")
    return path


@contextmanager
def opened(address, width=1280):
    """The page at ``address``, which must not complain, nor ask the network for anything, until it is closed."""
    path = chromium_path()
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(120_000)  # a machine may have other work
        errors, requests = [], []
        page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else 0)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        yield page
        assert errors == [] and [url for url in requests if not url.startswith(("file:", "data:"))] == []
        chromium.close()
