"""Follow docs/getting-started.md in an empty folder, with the built wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightferry.cli.app import Verbs
from nightferry.cli.create.init import Names, write_project
from nightferry.environments.project import Project
from nightferry.terraform import synthesize
from tests.pages.page import Reader, RunCommand, WriteFile, apply, parse_page

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


@pytest.fixture
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import the page's package here, and leave none of it to other tests."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "orders"]:
        del sys.modules[name]


@pytest.mark.usefixtures("own_modules")
def test_the_files_are_a_valid_project_and_the_commands_exist(tmp_path: Path) -> None:
    write_project(Names("orders"), tmp_path / "orders")
    verbs = {verb.name for verb in Verbs.verbs}
    for action in parse_page(PAGE.read_text(encoding="utf-8")):
        match action:
            case WriteFile():
                apply(action, tmp_path / "orders")
            case RunCommand(text=text) if text.startswith("nightferry "):
                assert text.split()[1] in verbs
    project = Project.find(tmp_path / "orders")
    assert set(synthesize(project.catalog, project.environment("test")))
    assert project.environment("local").settings == {"who": "world"}


@pytest.mark.long
def test_every_command_works_in_order(tmp_path: Path) -> None:
    build_wheel(tmp_path / "wheels")
    folder = tmp_path / "new"
    folder.mkdir()
    Reader(folder, make_variables(tmp_path / "wheels", tmp_path / "programs")).follow(
        parse_page(PAGE.read_text(encoding="utf-8"))
    )
