"""Follow docs/getting-started.md in an empty folder, with the built wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages.page import Reader, parse_page

TOOLKIT = Path(__file__).parents[2]
PAGE = TOOLKIT / "docs" / "getting-started.md"


def build_wheel(folder: Path) -> None:
    """Build the toolkit's wheel in a folder."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps", "--no-index")
    subprocess.run([*pip, "--no-build-isolation", "--wheel-dir", str(folder), str(TOOLKIT)], check=True)


def make_variables(wheels: Path, programs: Path) -> dict[str, str]:
    """Return the environment of a new machine, whose pip finds the built wheel."""
    programs.mkdir()
    (programs / "python3").symlink_to(getattr(sys, "_base_executable", sys.executable))
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HOME", "LANG", "LC_"))}
    return kept | {
        "COLUMNS": "120",
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": str(wheels),
        "TERM": "xterm-256color",
    }


@pytest.mark.long
def test_every_command_works_in_order(tmp_path: Path) -> None:
    build_wheel(tmp_path / "wheels")
    folder = tmp_path / "new"
    folder.mkdir()
    Reader(folder, make_variables(tmp_path / "wheels", tmp_path / "programs")).follow(
        parse_page(PAGE.read_text(encoding="utf-8"))
    )
