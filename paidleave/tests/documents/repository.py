"""The pages of the repository, read by the tool that builds their site."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT))

from tools import pages  # noqa: E402

PAGES = pages.find_pages()
SITE = pages.published(PAGES)
"""The pages of the site."""
