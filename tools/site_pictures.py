"""Take pictures of pages of the built site, opened as files: ``python tools/site_pictures.py``, after make docs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tools.chromium import open_chromium, take_picture  # noqa: E402

SITE = ROOT / "build" / "site"
OUT = ROOT / "docs" / "pictures" / "site"
SIZES = {"desktop": (1280, 900), "phone": (375, 800)}
QUALITY = 32  # of WebP
PICTURES = [
    ("home", "index.html", "desktop", "light"),
    ("home", "index.html", "phone", "dark"),
    ("getting-started", "nightferry/docs/getting-started.html", "desktop", "dark"),
    ("build-a-job", "nightferry/docs/build-a-job.html", "desktop", "light"),
    ("review-the-infrastructure", "paidleave/infra/ecs-tasks/index.html", "desktop", "dark"),
    ("review-the-infrastructure", "paidleave/infra/ecs-tasks/index.html", "phone", "light"),
    ("be-on-call", "paidleave/docs/on-call.html", "desktop", "light"),
    ("be-on-call", "paidleave/docs/on-call.html", "phone", "dark"),
    ("explain-a-file", "paidleave/docs/explain-a-file.html", "desktop", "light"),
    ("rejection-reasons", "paidleave/docs/rejection-reasons.html", "phone", "light"),
    ("catalog", "nightferry/docs/reference/catalog.html#catalogtask", "desktop", "dark"),
    ("search", "index.html", "desktop", "light"),
]


def main() -> None:
    """Take the pictures in place of earlier ones."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    with open_chromium() as browser:
        for name, address, device, theme in PICTURES:
            width, height = SIZES[device]
            context = browser.new_context(
                color_scheme="dark" if theme == "dark" else "light", viewport={"width": width, "height": height}
            )
            page = context.new_page()
            page.goto(f"{SITE.as_uri()}/{address}")
            if name == "search":
                search(page, "redrive")
            page.wait_for_timeout(500)  # the theme moves to an anchor and fades in
            (OUT / f"{name}-{device}-{theme}.webp").write_bytes(take_picture(page, QUALITY))
            context.close()


def search(page: Page, words: str) -> None:
    """Search the site for words, and wait for the results."""
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Search").locator("visible=true").fill(words)
    page.get_by_text("results").locator("visible=true").first.wait_for()


if __name__ == "__main__":
    main()
