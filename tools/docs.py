"""Build the site of the documentation: ``python tools/docs.py``, or make docs.

The pages remain where they are in the repository. They are copied with their pictures to ``build/pages``, in the same
folders, so that all links work unchanged. Zensical builds ``build/site`` from them, and fails if a link or an anchor
has no target. ``zensical.toml`` has the navigation. Neither the build nor a page of the site uses the network.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tools.pages import find_pages, published  # noqa: E402

ASSETS = ROOT / "tools" / "site"
ICON = ROOT / "nightferry" / "src" / "nightferry" / "dashboard" / "static" / "icon.svg"
PAGES = ROOT / "build" / "pages"


def main() -> int:
    """Build the site, and return the exit code of Zensical."""
    shutil.rmtree(PAGES, ignore_errors=True)
    copy_pages(PAGES)
    zensical = Path(sys.executable).with_name("zensical")
    return subprocess.run([zensical, "build", "--strict", "--clean"], cwd=ROOT, check=False).returncode


def copy_pages(folder: Path) -> None:
    """Copy the published pages, the pictures that they show or link to, and the site's own files to a folder."""
    pages = published(find_pages())
    linked = {link.path for page in pages.values() for link in page.links if (ROOT / link.path).is_file()}
    shown = {picture for page in pages.values() for picture in page.pictures}
    for path in pages.keys() | linked | shown:
        copied = folder / path
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, copied)
    shutil.copyfile(ICON, folder / "icon.svg")
    for file in ASSETS.iterdir():
        shutil.copyfile(file, folder / file.name)


if __name__ == "__main__":
    sys.exit(main())
