"""Read the pages of the documentation: the headings, links and pictures that GitHub and the site show.

::

    find_pages ── each *.md file of the repository, parsed
       ├─► published ── the pages of the site (make docs): those that have readers
       ├─► count_clicks ── how far each page is from README.md
       └─► read_navigation ── the site's navigation, from zensical.toml
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
START = "README.md"
MARKDOWN = MarkdownIt("commonmark").enable("table")
_UNPUBLISHED = re.compile(r"\.github/|paidleave/infra/modules/|(.+/)?tests/")
"""Templates of GitHub, copies of the toolkit's modules, and notes next to tests."""
_PICTURE = re.compile(r"\b(?:src|srcset)=\"([^\"]+)\"")


@dataclass(frozen=True)
class Heading:
    """A heading: its text without markup, the anchor that GitHub and the site give it, and its line from 0."""

    level: int
    text: str
    anchor: str
    line: int


@dataclass(frozen=True)
class Link:
    """A link: the path of its target in the repository ("" if the target is not a file), and the section it is in."""

    text: str
    address: str
    path: str
    anchor: str
    section: str


@dataclass(frozen=True)
class Page:
    """A page: ``path`` is relative to the repository, and so are the paths of its pictures."""

    path: str
    headings: tuple[Heading, ...]
    links: tuple[Link, ...]
    pictures: tuple[str, ...]

    @property
    def title(self) -> str:
        """Return the text of the first heading."""
        return self.headings[0].text if self.headings else ""

    @property
    def anchors(self) -> set[str]:
        """Return the anchors of the headings."""
        return {heading.anchor for heading in self.headings}


def find_pages() -> dict[str, Page]:
    """Return all pages of the repository by their path."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = sorted({path for path in listed.split("\0") if path and (ROOT / path).is_file()})
    return {path: parse_page(path, (ROOT / path).read_text(encoding="utf-8")) for path in paths}


def published(pages: dict[str, Page]) -> dict[str, Page]:
    """Return the pages of the site."""
    return {path: page for path, page in pages.items() if not _UNPUBLISHED.match(path)}


def parse_page(path: str, text: str) -> Page:
    """Return the page of a Markdown text."""
    headings: list[Heading] = []
    links: list[Link] = []
    pictures: list[str] = []
    tokens = MARKDOWN.parse(text)
    for token, following in zip(tokens, [*tokens, None][1:], strict=True):
        if token.type == "heading_open" and following:
            title = "".join(
                child.content for child in following.children or () if child.type in ("text", "code_inline")
            )
            line = token.map[0] if token.map else 0
            headings.append(Heading(int(token.tag[1]), title, _make_anchor(title, headings), line))
        elif token.type == "html_block":
            pictures += _PICTURE.findall(token.content)
        for child in token.children or ():
            if child.type == "image":
                pictures.append(str(child.attrs["src"]))
            elif child.type == "html_inline":
                pictures += _PICTURE.findall(child.content)
        links += _read_links(path, token, headings[-1].text if headings else "")
    return Page(path, tuple(headings), tuple(links), tuple(_resolve(path, picture) for picture in pictures))


def make_anchor(title: str) -> str:
    """Return the anchor of a heading's text: lower case, without punctuation, with a hyphen for each space."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def read_section(page: Page, anchor: str) -> str:
    """Return the Markdown below a heading, with its subsections. Raises ValueError if the page has no such heading."""
    start = next((heading for heading in page.headings if heading.anchor == anchor), None)
    if start is None:
        raise ValueError(f"{page.path} has no heading with the anchor {anchor}.")
    after = (heading.line for heading in page.headings if heading.line > start.line and heading.level <= start.level)
    lines = (ROOT / page.path).read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[start.line + 1 : next(after, len(lines))])


def count_clicks(pages: dict[str, Page], start: str = START) -> dict[str, int]:
    """Return the number of clicks from the first page to each page that links lead to."""
    clicks = {start: 0}
    waiting = [start]
    while waiting:
        path = waiting.pop(0)
        for link in pages[path].links:
            if link.path in pages and link.path not in clicks:
                clicks[link.path] = clicks[path] + 1
                waiting.append(link.path)
    return clicks


def read_navigation() -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the sections and the path of each page of the navigation, in order."""
    project = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    yield from _walk(project["nav"], ())


def _make_anchor(title: str, before: list[Heading]) -> str:
    """Return the anchor on a page with headings before it: a repeated one is numbered."""
    used = {heading.anchor for heading in before}
    anchor = make_anchor(title)
    numbered = (f"{anchor}-{number}" for number in range(1, len(before) + 2))
    return next(each for each in (anchor, *numbered) if each not in used)


def _read_links(page: str, token: Token, section: str) -> Iterator[Link]:
    children = token.children or []
    for position, child in enumerate(children):
        if child.type != "link_open":
            continue
        address = str(child.attrs["href"])
        end = next(after for after in range(position, len(children)) if children[after].type == "link_close")
        text = "".join(part.content for part in children[position:end])
        path, _, anchor = address.partition("#")
        outside = re.match(r"[a-z]+:", address) is not None
        yield Link(text, address, "" if outside else _resolve(page, path), anchor, section)


def _resolve(page: str, path: str) -> str:
    """Return a path that is relative to the folder of a page as a path in the repository."""
    return normpath(PurePosixPath(page).parent / path) if path else page


def _walk(entries: list[Any], sections: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for entry in entries:
        if isinstance(entry, str):
            yield sections, entry
            continue
        for title, content in entry.items():
            if isinstance(content, str):
                yield sections, content
            else:
                yield from _walk(content, (*sections, title))
