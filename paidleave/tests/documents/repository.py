"""The pages of the repository, read by the tools that build their site."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT))

from tools import docs, pages, questions  # noqa: E402


@cache
def all_pages() -> dict[str, pages.Page]:
    """Return all pages by their path. Only the workers that need them read them."""
    return pages.find_pages()


@cache
def site_pages() -> dict[str, pages.Page]:
    """Return the pages of the site by their path."""
    return pages.published(all_pages())


__all__ = ["ROOT", "all_pages", "docs", "pages", "questions", "site_pages"]
