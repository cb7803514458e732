"""Follow docs/getting-started.md and docs/tutorial.md in an empty folder, with the built wheel."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from nightferry.cli.app import Verbs
from nightferry.cli.create.init import Names, write_project
from nightferry.environments.project import Project
from nightferry.terraform import synthesize
from nightferry.testing import FakeBucket
from tests.pages.page import Action, Reader, RunCommand, WriteFile, apply, parse_page

TOOLKIT = Path(__file__).parents[2]
PAGE = TOOLKIT / "docs" / "getting-started.md"
TUTORIAL = TOOLKIT / "docs" / "tutorial.md"


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


def read_actions() -> Iterator[Action]:
    """Yield the actions of both pages. The tutorial continues the project of the first page."""
    return chain.from_iterable(parse_page(page.read_text(encoding="utf-8")) for page in (PAGE, TUTORIAL))


@pytest.fixture
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import the pages' package here, and leave none of it to other tests."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("orders", "test_regions")]:
        del sys.modules[name]


@pytest.mark.usefixtures("own_modules")
@pytest.mark.parametrize("bucket", ["folder"], indirect=True)
def test_the_files_are_a_valid_project_and_the_commands_exist(tmp_path: Path, bucket: FakeBucket) -> None:
    write_project(Names("orders"), tmp_path / "orders")
    verbs = {verb.name for verb in Verbs.verbs}
    for action in read_actions():
        match action:
            case WriteFile():
                apply(action, tmp_path / "orders")
            case RunCommand(text=text) if text.startswith("nightferry "):
                assert text.split()[1] in verbs
    project = Project.find(tmp_path / "orders")
    assert set(synthesize(project.catalog, project.environment("test")))
    assert project.environment("local").settings == {"who": "world"}
    sys.path.append(str(tmp_path / "orders" / "tests"))
    tests = importlib.import_module("test_regions")
    tests.test_orders_are_divided_by_region(bucket)
    tests.test_a_region_without_a_rate_is_a_failure(bucket)


def test_a_page_names_the_exit_code_of_a_command_that_fails() -> None:
    assert list(parse_page("```sh\ntrue\nfalse  # exit code 1\n```\n")) == [
        RunCommand("true", background=False),
        RunCommand("false", background=False, exit_code=1),
    ]


@pytest.mark.long
def test_every_command_works_in_order(tmp_path: Path) -> None:
    build_wheel(tmp_path / "wheels")
    folder = tmp_path / "new"
    folder.mkdir()
    reader = Reader(folder, make_variables(tmp_path / "wheels", tmp_path / "programs"))
    reader.follow(read_actions())
    (dashboard,) = reader.opened
    assert "hello-often" in dashboard
