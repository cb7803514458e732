"""Chromium, for the pictures of pages and for the tests of pages in a browser."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MISSING = "Chromium not found. Install it (apt-get install chromium), or run make chromium as root."


def find_chromium() -> str | None:
    """Return the path of Chromium or Chrome, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def open_chromium(*arguments: str) -> Iterator[Browser]:
    """Run Chromium in the block, without requests of its own. Raises FileNotFoundError if it is missing."""
    from playwright.sync_api import sync_playwright  # slow to import

    program = find_chromium()
    if program is None:
        raise FileNotFoundError(MISSING)
    options = ["--disable-background-networking", *arguments]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


def take_picture(page: Page, quality: int) -> bytes:
    """Return what the window of a page shows, as WebP."""
    taken = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": quality})
    return base64.b64decode(taken["data"])
