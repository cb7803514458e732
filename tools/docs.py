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
from tools.pages import MARKDOWN, find_pages, published  # noqa: E402

ASSETS = ROOT / "tools" / "site"
ICON = ROOT / "nightferry" / "src" / "nightferry" / "dashboard" / "static" / "icon.svg"
_BLOCKS = {"bullet_list_open", "ordered_list_open", "paragraph_open", "fence", "table_open"}
_ESCAPED_PIPE = re.compile(r"^\|.*\\\|.*$", re.MULTILINE)


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
            copied.write_text(adapt(text), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / path, copied)
    for file in (ICON, *ASSETS.iterdir()):
        shutil.copyfile(file, folder / "pages" / file.name)
    shutil.copyfile(ROOT / "zensical.toml", folder / "zensical.toml")


def adapt(text: str) -> str:
    """Return a page in the syntax of Zensical's parser, which shows it then as GitHub does.

    The parser requires four spaces before what an item of a list contains, and a blank line before a list. It does not
    require a backslash before a pipe in code in a table, and shows it. The search does not find the links at the end.
    """
    lines = _ESCAPED_PIPE.sub(_unescape_pipes, text).splitlines()
    before: list[int] = []
    depth, starts_item = 0, False
    for token in MARKDOWN.parse(text):
        depth -= token.type.endswith("_list_close")
        if token.type == "list_item_open":
            starts_item = True
        elif token.map and token.type in _BLOCKS:
            start, end = token.map
            if depth and not starts_item:
                added = max(4 * depth - (len(lines[start]) - len(lines[start].lstrip())), 0)
                lines[start:end] = [" " * added + line if line else line for line in lines[start:end]]
            elif token.type.endswith("_list_open") and start and lines[start - 1].strip():
                before.append(start)
            starts_item = False
            depth += token.type.endswith("_list_open")
    for start in reversed(before):
        lines.insert(start, "")
    return "\n".join(f"{line} {{ data-search-exclude }}" if line == "## Next" else line for line in lines) + "\n"


def build(folder: Path) -> int:
    """Build the site of a folder with copied pages, and return the exit code of Zensical."""
    zensical = Path(sys.executable).with_name("zensical")
    return subprocess.run([zensical, "build", "--strict", "--clean"], cwd=folder, check=False).returncode


def _unescape_pipes(row: re.Match[str]) -> str:
    return re.sub(r"`[^`]+`", lambda code: code[0].replace(r"\|", "|"), row[0])


if __name__ == "__main__":
    sys.exit(main())
