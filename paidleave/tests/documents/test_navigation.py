"""A reader finds each page: from README.md, in the navigation of the site, and from the end of a neighbor."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tests.documents.repository import ROOT, SITE, pages

CLICKS = pages.count_clicks(SITE)
MODULES = "nightferry/src/nightferry/terraform/"
"""These pages are copied to a project's infra/, where no other page is. They cannot link to one."""
PENDING = {
    "nightferry/docs/dashboard.md",
    "nightferry/docs/everyday-tools.md",
    "nightferry/docs/jobs.md",
    "nightferry/docs/local-engine.md",
    "nightferry/docs/logs.md",
    "nightferry/docs/notifications.md",
    "nightferry/docs/running-tasks.md",
    "nightferry/docs/schedules-and-triggers.md",
    "nightferry/docs/states.md",
    "nightferry/docs/testing-jobs.md",
    "nightferry/docs/workflows.md",
}
"""Pages that are being rewritten."""
WITH_NEXT = [
    path
    for path in SITE
    if path not in ("README.md", "CHANGELOG.md") and not path.startswith(MODULES) and path not in PENDING
]
ENTRIES = [
    "nightferry/docs/getting-started.md",
    "nightferry/docs/build-a-job.md",
    "paidleave/infra/ecs-tasks/README.md",
    "paidleave/docs/on-call.md",
    "paidleave/docs/explain-a-file.md",
]


def test_links_lead_from_the_first_page_to_every_page() -> None:
    assert [path for path in SITE if path not in CLICKS] == []


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
    assert sorted(SITE.keys() - in_navigation.keys()) == [], "Add the pages to nav in zensical.toml."
    assert sorted(in_navigation.keys() - SITE.keys()) == []
    assert [path for path, times in in_navigation.items() if times > 1] == []


@pytest.mark.parametrize("path", WITH_NEXT)
def test_a_page_ends_with_two_to_four_links_to_its_neighbors(path: str) -> None:
    page = SITE[path]
    assert [heading.text for heading in page.headings].index("Next") == len(page.headings) - 1
    neighbors = [link.path for link in page.links if link.section == "Next"]
    assert 2 <= len(neighbors) <= 4
    assert len({*neighbors, path}) == len(neighbors) + 1
    assert all(neighbor in SITE for neighbor in neighbors)


def test_the_first_page_is_short_and_leads_to_the_entry_pages_in_order() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 80
    assert [link.path for link in SITE["README.md"].links][:5] == ENTRIES


@pytest.mark.parametrize("path", SITE)
def test_a_page_has_one_title_and_no_gap_between_the_levels_of_its_headings(path: str) -> None:
    levels = [heading.level for heading in SITE[path].headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
