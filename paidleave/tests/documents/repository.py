"""The pages of the repository, read by the tools that build their site."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT))

from tools import docs, pages  # noqa: E402

PAGES = pages.find_pages()
SITE = pages.published(PAGES)
"""The pages of the site."""

__all__ = ["PAGES", "ROOT", "SITE", "docs", "pages"]
