"""Take pictures of all pages of the dashboard: ``python tools/pictures.py``, or make pictures.

The data are those of the demo after two nights, and after a night with damaged files. A crawl from the first page
finds one address for each page. Pictures are taken for a phone and a desktop, light and dark, in ``docs/pictures``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, StorageState

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tools.chromium import open_chromium, take_picture  # noqa: E402

OUT = ROOT / "docs" / "pictures"
WIDTHS = {"phone": 360, "desktop": 1280}
THEMES = ("light", "dark")
EMPLOYERS = "100"
MAX_HEIGHT = 1800  # of a picture
QUALITY = 40  # of WebP
NIGHTS: dict[str, list[list[str]]] = {
    "demo": [[], []],
    "failed-night": [[], ["--bad-share", "0.3"]],
}
"""The options of the demo for each night, by the name of the set."""
FAILED = re.compile("now|problems.*|(runs|executions|files|workflows)(-.*)?")
"""The pages that a failed night changes. The demo's set has all pages."""


def main() -> None:
    """Take all pictures."""
    only = sys.argv[1:]
    for name, nights in NIGHTS.items():
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "NIGHTFERRY_STATE": str(Path(folder) / "state")}
            for options in nights:
                command = [str(ROOT / ".venv/bin/paidleave-demo"), "--employers", EMPLOYERS, *options]
                subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=subprocess.DEVNULL)
            with serve(environment) as address:
                take_set(address, OUT / name, FAILED if name == "failed-night" else re.compile(".*"))
    if not only:
        for theme in THEMES:
            shutil.copy(OUT / "failed-night" / f"now-desktop-{theme}.webp", ROOT / "docs" / f"dashboard-{theme}.webp")


@contextmanager
def serve(environment: dict[str, str]) -> Iterator[str]:
    """Run the dashboard, and yield the address of its login."""
    command = [str(ROOT / ".venv/bin/nightferry"), "dashboard", "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = (re.search(r"http://\S+/login\?code=\S+", line) for line in process.stdout)
        yield next(match[0] for match in found if match)
    finally:
        process.terminate()
        process.wait()


def take_set(address: str, folder: Path, wanted: re.Pattern[str]) -> None:
    """Take the pictures of one server's wanted pages in a folder, in place of earlier ones."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with open_chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        addresses = crawl(page)
        state = page.context.storage_state()
        for name, url in addresses.items():
            if wanted.fullmatch(name):
                take_page(browser, state, url, folder / name)


def crawl(page: Page) -> dict[str, str]:
    """Return one address for each page that a link leads to, by the page's name."""
    from nightferry.dashboard.routes import PAGES

    patterns = {
        re.compile(
            "/local" + re.sub(r"\\{[a-z_]+:path\\}", ".+", re.sub(r"\\{[a-z_]+\\}", "[^/]+", re.escape(one.path)))
        ): one.path
        for one in PAGES
        if one.method == "GET" and not one.path.endswith((".txt", ".csv", "/stream"))
    }
    found: dict[str, str] = {}
    waiting, seen = [page.url], {page.url}
    while waiting and len(seen) < 2000:
        url = waiting.pop(0)
        path = urlsplit(url).path
        route = next((route for pattern, route in patterns.items() if pattern.fullmatch(path)), None)
        name = "now" if route == "/" else re.sub(r"\W+", "-", route or "").strip("-")
        if route is None or name in found:
            continue
        page.goto(url)
        found[name] = url
        for link in page.locator("a[href]").evaluate_all("links => links.map((link) => link.href)"):
            if link.startswith(url.split("/local")[0]) and link not in seen and "#" not in link:
                seen.add(link)
                waiting.append(link)
    return found


def take_page(browser: Browser, state: StorageState, url: str, stem: Path) -> None:
    """Take the pictures of one page."""
    for theme in THEMES:
        context = browser.new_context(color_scheme="dark" if theme == "dark" else "light", storage_state=state)
        page = context.new_page()
        for device, width in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(url)
            height = min(page.evaluate("document.documentElement.scrollHeight"), MAX_HEIGHT)
            page.set_viewport_size({"width": width, "height": max(height, 400)})
            stem.with_name(f"{stem.name}-{device}-{theme}.webp").write_bytes(take_picture(page, QUALITY))
        context.close()


if __name__ == "__main__":
    main()
