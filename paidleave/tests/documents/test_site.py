"""The site has every page as GitHub shows it, and needs no network: make docs builds it in its own environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from lxml import html
from markdown_it import MarkdownIt

from tests.documents.repository import ROOT, docs, site_pages
from tools.chromium import MISSING, find_chromium, open_chromium

PYTHON = ROOT / ".venv-docs" / "bin" / "python"
SHOWN_ALIKE = ("li", "li//li", "ul", "ol", "table", "td", "pre", "code", "h1", "h2", "h3", "img", "strong", "em")

pytestmark = pytest.mark.long


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    if not PYTHON.exists():
        pytest.fail("Zensical is not installed. Run make docs.")
    command = [
        str(PYTHON),
        "-c",
        "import sys; from pathlib import Path; from tools.docs import build; sys.exit(build(Path(sys.argv[1])))",
        str(folder),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site."""
    folder = tmp_path_factory.mktemp("documents")
    docs.copy_pages(folder)
    built = build(folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


def built_page(site: Path, path: str) -> Path:
    return site / (re.sub(r"README\.md$", "index.md", path).removesuffix(".md") + ".html")


def read(file: Path) -> Any:
    return html.document_fromstring(file.read_text(encoding="utf-8"))


def squeeze(element: Any) -> str:
    return re.sub(r"\s", "", "".join(element.itertext()))


def test_every_page_is_shown_as_on_github(site: Path) -> None:
    github = MarkdownIt("commonmark").enable("table")
    for path in site_pages():
        expected = html.fromstring(f"<div>{github.render((ROOT / path).read_text(encoding='utf-8'))}</div>")
        shown = read(built_page(site, path)).xpath("//article")[0]
        for added in shown.xpath(".//a[@class='headerlink'] | .//form | .//script"):
            added.drop_tree()
        assert squeeze(shown) == squeeze(expected), path
        for tag in SHOWN_ALIKE:
            assert len(shown.xpath(f".//{tag}")) == len(expected.xpath(f".//{tag}")), (path, tag)


def test_every_relative_address_has_a_target_in_the_site(site: Path) -> None:
    files = sorted(site.rglob("*.html"))
    identifiers = {file: set(read(file).xpath("//@id")) for file in files}
    for file in files:
        if file.name == "404.html":
            continue
        for address in read(file).xpath("//@href | //@src | //@srcset"):
            parts = urlsplit(address)
            if parts.scheme:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            assert target.is_file(), (file, address)
            anchor = unquote(parts.fragment)
            assert not anchor or target not in identifiers or anchor in identifiers[target], (file, address)


def test_no_file_loads_anything_from_another_server(site: Path) -> None:
    for file in site.rglob("*.html"):
        loaded = read(file).xpath("//script/@src | //img/@src | //source/@srcset | //iframe/@src | //link/@href")
        assert [address for address in loaded if urlsplit(address).netloc] == [], file
    for file in site.rglob("*.css"):
        loaded = re.findall(r"(?:url\(|@import\s*)[\"']?((?:https?:)?//[^\"')]+)", file.read_text(encoding="utf-8"))
        assert loaded == [], file


def test_the_search_has_every_page_but_not_the_links_at_its_end(site: Path) -> None:
    items = json.loads((site / "search.json").read_text(encoding="utf-8"))["items"]
    assert {item["location"].partition("#")[0] for item in items} == {
        str(built_page(site, path).relative_to(site)) for path in site_pages()
    }
    assert [item for item in items if item["location"].endswith("#next")] == []


@pytest.mark.parametrize("broken", ["[a page](gone.md)", "[a heading](glossary.md#terms-that-nobody-uses)"])
def test_a_broken_link_fails_the_build(broken: str, tmp_path: Path) -> None:
    docs.copy_pages(tmp_path)
    with (tmp_path / "pages" / "docs" / "security.md").open("a", encoding="utf-8") as page:
        page.write(f"\n{broken}\n")
    built = build(tmp_path)
    assert built.returncode != 0
    assert "security.md" in built.stdout + built.stderr


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Return Chromium. Without it, tests are skipped, but fail where CI=true."""
    if find_chromium() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with open_chromium() as browser:
        yield browser


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_browser_shows_pages_and_searches_without_a_server(site: Path, chromium: Any, theme: str) -> None:
    context = chromium.new_context(color_scheme=theme, viewport={"width": 1280, "height": 800})
    requested: list[str] = []
    problems: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    for path in ("README.md", "nightferry/docs/jobs.md", "paidleave/docs/on-call.md"):
        page.goto(built_page(site, path).as_uri())
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (theme == "light")
    page.keyboard.press("Control+k")
    field = page.get_by_placeholder("Search").locator("visible=true")
    field.press_sequentially("redrive")
    page.get_by_text(re.compile(r"^\d+ results$")).wait_for(timeout=60_000)
    assert field.input_value() == "redrive"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"\.html\?h=redrive"), timeout=60_000)
    assert [address for address in requested if not address.startswith(("file://", "data:"))] == []
    assert problems == []
    context.close()


def test_no_page_is_wider_than_a_phone(site: Path, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 375, "height": 800})
    page = context.new_page()
    wide = []
    for path in site_pages():
        page.goto(built_page(site, path).as_uri())
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(path)
    context.close()
    assert wide == []
