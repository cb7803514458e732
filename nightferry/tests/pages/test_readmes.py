"""The code of README.md and of the page on the package index is a project that runs and can be deployed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightferry.cli.create.init import Names, write_project
from nightferry.environments.project import Project
from nightferry.terraform import synthesize
from tests.cli.terminal import nightferry

TOOLKIT = Path(__file__).parents[2]
JOBS = """
from nightferry import JobSettings, Run, background_task

class LoadSettings(JobSettings):
    s3_uri: str

class ReportSettings(JobSettings):
    api_key: str

class CleanSettings(JobSettings):
    pass

@background_task("load", LoadSettings)
def load(settings: LoadSettings, run: Run) -> None:
    print("loaded", settings.s3_uri)

@background_task("report", ReportSettings)
def report(settings: ReportSettings, run: Run) -> None: ...

@background_task("clean", CleanSettings)
def clean(settings: CleanSettings, run: Run) -> None: ...
"""


def find_code(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import the packages of the pages here, and leave none of them to other tests."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("hello", "orders")]:
        del sys.modules[name]


def test_the_catalog_of_the_first_page_can_be_deployed(tmp_path: Path) -> None:
    (code,) = find_code(TOOLKIT.parent / "README.md")
    write_project(Names("orders"), tmp_path / "orders")
    (tmp_path / "orders" / "src" / "orders" / "catalog.py").write_text(code, encoding="utf-8")
    (tmp_path / "orders" / "src" / "orders" / "jobs.py").write_text(JOBS, encoding="utf-8")
    environment = tmp_path / "orders" / "environments" / "test.toml"
    environment.write_text(re.sub("who = .*", "", environment.read_text(encoding="utf-8")), encoding="utf-8")
    project = Project.find(tmp_path / "orders")
    files = synthesize(project.catalog, project.environment("test"))
    assert {"ecs-tasks/test/workflows/night.asl.json", "modules/s3_ecs_trigger/main.tf.json"} <= set(files)
    assert project.catalog.schedules["nightly"].timezone == "America/New_York"
    assert [task.name for task in project.catalog.tasks.values()] == ["load", "report", "clean"]


def test_the_project_of_the_package_index_runs(tmp_path: Path) -> None:
    root = tmp_path / "hello"
    write_project(Names("hello"), root)
    for code in find_code(TOOLKIT / "README.md"):
        path, _, content = code.partition("\n")
        assert (root / path.removeprefix("# ")).is_file()
        (root / path.removeprefix("# ")).write_text(content, encoding="utf-8")
    ran = nightferry(root, "run", "greet")
    assert (ran.returncode, "Hello, world!" in ran.stdout + ran.stderr) == (0, True), ran.stderr
    project = Project.find(root)
    assert "ecs-tasks/test/workflows/greet-everybody.asl.json" in synthesize(
        project.catalog, project.environment("test")
    )
