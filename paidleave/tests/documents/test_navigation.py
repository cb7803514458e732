"""A reader finds each page: from README.md, in the navigation of the site, and from the end of a neighbor."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tests.documents.repository import ROOT, pages, site_pages

MODULES = "nightferry/src/nightferry/terraform/"
"""These pages are copied to a project's infra/, where no other page is. They cannot link to one."""
ENTRIES = [
    "nightferry/docs/getting-started.md",
    "nightferry/docs/build-a-job.md",
    "paidleave/infra/ecs-tasks/README.md",
    "paidleave/docs/on-call.md",
    "paidleave/docs/explain-a-file.md",
]


def test_every_page_is_at_most_three_clicks_from_the_first_one() -> None:
    clicks = pages.count_clicks(site_pages())
    assert [path for path in site_pages() if path not in clicks] == []
    assert {path: count for path, count in clicks.items() if count > 3} == {}


def test_a_page_without_a_link_is_found() -> None:
    made = [
        ("README.md", "[a](a.md)"),
        ("a.md", "[a](#a) [b](docs/b.md#b)"),
        ("docs/b.md", "[a](../a.md)"),
        ("c.md", ""),
    ]
    assert pages.count_clicks({path: pages.parse_page(path, text) for path, text in made}) == {
        "README.md": 0,
        "a.md": 1,
        "docs/b.md": 2,
    }


def test_the_navigation_has_every_page_once() -> None:
    in_navigation = Counter(path for _, path in pages.read_navigation())
    assert sorted(site_pages().keys() - in_navigation.keys()) == [], "Add the pages to nav in zensical.toml."
    assert sorted(in_navigation.keys() - site_pages().keys()) == []
    assert [path for path, times in in_navigation.items() if times > 1] == []


def find_problems_of_end(page: pages.Page) -> str:
    """Return what is wrong with the end of a page: the section *Next*, with two to four links to other pages."""
    if [heading for heading in page.headings if heading.text == "Next"] != [page.headings[-1]]:
        return "The last section is not Next, or a section before it has that name."
    neighbors = [link.path for link in page.links if link.section == "Next"]
    if len({*neighbors, page.path}) != len(neighbors) + 1:
        return "Next links to the page itself, or twice to another one."
    return "" if 2 <= len(neighbors) <= 4 else f"Next has {len(neighbors)} links."


def test_a_page_ends_with_links_to_its_neighbors() -> None:
    without = {"README.md", "CHANGELOG.md"}
    ends = [page for path, page in site_pages().items() if path not in without and not path.startswith(MODULES)]
    problems = {page.path: find_problems_of_end(page) for page in ends}
    assert {path: problem for path, problem in problems.items() if problem} == {}


@pytest.mark.parametrize(
    ("end", "problem"),
    [
        ("## Next\n\n[b](b.md) [c](c.md)\n", ""),
        ("## Next\n\n[b](b.md)\n", "1 links"),
        ("## Next\n\n[b](b.md) [c](c.md)\n\n## More\n", "last section"),
        ("## Next\n\n[b](b.md)\n\n## Next\n\n[b](b.md) [c](c.md)\n", "has that name"),
        ("## Next\n\n[b](b.md) [b](b.md#d)\n", "twice"),
        ("## Next\n\n[b](b.md) [top](#a)\n", "itself"),
    ],
)
def test_a_page_with_another_end_is_found(end: str, problem: str) -> None:
    found = find_problems_of_end(pages.parse_page("a.md", f"# A\n\n{end}"))
    assert (problem in found) if problem else (found == "")


def test_the_first_page_is_short_and_leads_to_the_entry_pages_in_order() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 80
    assert [link.path for link in site_pages()["README.md"].links][:5] == ENTRIES


def test_a_page_has_one_title_and_no_gap_between_the_levels_of_its_headings() -> None:
    levels = {path: [heading.level for heading in page.headings] for path, page in site_pages().items()}
    assert [path for path, found in levels.items() if found[:1] != [1] or found.count(1) != 1] == []
    assert [path for path, found in levels.items() if any(b > a + 1 for a, b in pairwise(found))] == []
