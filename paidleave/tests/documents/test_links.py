"""Every link has a target, and GitHub and the site show the pages alike."""

from __future__ import annotations

import pytest

from tests.documents.repository import ROOT, all_pages, docs, pages, site_pages

PICTURES = (".svg", ".webp")


def find_dead_links(page: pages.Page) -> list[str]:
    known = all_pages() | {page.path: page}
    dead = []
    for link in page.links:
        if link.path in known:
            dead += [link.address] if link.anchor and link.anchor not in known[link.path].anchors else []
        elif link.path and not (ROOT / link.path).exists():
            dead.append(link.address)
    return dead + [picture for picture in page.pictures if not (ROOT / picture).is_file()]


def test_every_link_has_a_target() -> None:
    dead = {path: find_dead_links(page) for path, page in all_pages().items()}
    assert {path: links for path, links in dead.items() if links} == {}


def test_a_link_without_a_target_is_found() -> None:
    page = pages.parse_page(
        "docs/new.md",
        "[a](glossary.md) [b](glossary.md#terms-that-nobody-uses) [c](gone.md) [d](https://example.org/) [e](#here)\n"
        '\n# Here\n\n![f](demo.svg)\n![g](gone.svg) <img src="gone.webp">\n'
        "\n`[h](code.md)`\n\n```\n[i](code.md)\n```\n",
    )
    assert find_dead_links(page) == [
        "glossary.md#terms-that-nobody-uses",
        "gone.md",
        "docs/gone.svg",
        "docs/gone.webp",
    ]


def test_links_lead_only_to_pages_and_pictures() -> None:
    """The site has nothing else."""
    site = site_pages()
    outside = [
        (path, link.address)
        for path, page in site.items()
        for link in page.links
        if link.path and link.path not in site and not link.path.endswith(PICTURES)
    ]
    assert outside == []


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("heading with a - dash", "heading-with-a---dash"),
        ("heading with a period.txt", "heading-with-a-periodtxt"),
        ("`a.bind_headers(a, routing [, bind])`", "abind_headersa-routing--bind"),
        ("apostrophe’s should be trimmed", "apostrophes-should-be-trimmed"),
        ("*en–dash*", "endash"),
        ("[I ♥ unicode](a.md)", "i--unicode"),
    ],
)
def test_anchors_are_those_of_github(heading: str, anchor: str) -> None:
    """The pairs were recorded on github.com by Flet/github-slugger (test/fixtures.json).

    The markup is ours, and one heading is shorter.
    """
    assert [found.anchor for found in pages.parse_page("a.md", f"# {heading}\n").headings] == [anchor]


def test_repeated_headings_have_numbered_anchors() -> None:
    found = pages.parse_page("a.md", "# echo\n# echo\n# echo 1\n# echo-1\n# echo\n")  # from the same fixtures
    assert [heading.anchor for heading in found.headings] == ["echo", "echo-1", "echo-1-1", "echo-1-2", "echo-2"]


@pytest.mark.parametrize(
    ("github", "site"),
    [
        ("- a\n  - b\n    c\n    - d\n- e\n", "- a\n    - b\n      c\n        - d\n- e\n"),
        ("1. a\n\n   b\n\n   ```\n   c\n   ```\n2. d\n", "1. a\n\n    b\n\n    ```\n    c\n    ```\n2. d\n"),
        ("a:\n- b\n- c\n", "a:\n\n- b\n- c\n"),
        ("- a\nb\n\n    - c\n", "- a\nb\n\n    - c\n"),
        ("# A\n\n## Next\n\n- [b](b.md)\n", "# A\n\n## Next { data-search-exclude }\n\n- [b](b.md)\n"),
        ("| a |\n| --- |\n| `b \\| c` \\| d |\n", "| a |\n| --- |\n| `b | c` \\| d |\n"),
    ],
)
def test_the_copy_for_the_site_has_the_syntax_of_its_parser(github: str, site: str) -> None:
    """The long tests compare what GitHub's parser and the site show for all pages."""
    assert docs.adapt(github) == site
