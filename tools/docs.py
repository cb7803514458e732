"""Build the site of the documentation in build/site: ``python tools/docs.py``, or make docs.

The pages remain where they are in the repository. They are copied with their pictures to ``build/pages``, in the same
folders, so that all links work unchanged. Zensical builds the site from them as ``zensical.toml`` configures it, and
fails if a link or an anchor has no target. Neither the build nor a page of the site uses the network.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tools.pages import find_pages, published  # noqa: E402

ASSETS = ROOT / "tools" / "site"
ICON = ROOT / "nightferry" / "src" / "nightferry" / "dashboard" / "static" / "icon.svg"
_ESCAPED_PIPE = re.compile(r"^\|.*\\\|.*$", re.MULTILINE)
"""A row of a table with an escaped pipe. GitHub requires the backslash in code too, and the site shows it."""


def main() -> int:
    """Build the site, and return the exit code of Zensical."""
    folder = ROOT / "build"
    shutil.rmtree(folder, ignore_errors=True)
    copy_pages(folder)
    return build(folder)


def copy_pages(folder: Path) -> None:
    """Copy the configuration, the pages, the pictures that they show or link to, and the site's own files."""
    pages = published(find_pages())
    linked = {link.path for page in pages.values() for link in page.links if (ROOT / link.path).is_file()}
    shown = {picture for page in pages.values() for picture in page.pictures}
    for path in pages.keys() | linked | shown:
        copied = folder / "pages" / path
        copied.parent.mkdir(parents=True, exist_ok=True)
        if path in pages:
            text = (ROOT / path).read_text(encoding="utf-8")
            copied.write_text(_ESCAPED_PIPE.sub(_unescape_pipes, text), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / path, copied)
    for file in (ICON, *ASSETS.iterdir()):
        shutil.copyfile(file, folder / "pages" / file.name)
    shutil.copyfile(ROOT / "zensical.toml", folder / "zensical.toml")


def build(folder: Path) -> int:
    """Build the site of a folder with copied pages, and return the exit code of Zensical."""
    zensical = Path(sys.executable).with_name("zensical")
    return subprocess.run([zensical, "build", "--strict", "--clean"], cwd=folder, check=False).returncode


def _unescape_pipes(row: re.Match[str]) -> str:
    return re.sub(r"`[^`]+`", lambda code: code[0].replace(r"\|", "|"), row[0])


if __name__ == "__main__":
    sys.exit(main())
