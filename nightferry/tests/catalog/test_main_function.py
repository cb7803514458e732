"""The catalog finds the settings class of ``main`` without importing the job, and rejects mistakes at declaration."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightferry import Catalog, Image
from nightferry.environments.project import Project
from nightferry.errors import InvalidMain

SETTINGS = """
from pydantic import Field
from nightferry.job import JobSettings

class LoadSettings(JobSettings):
    "Loads orders."
    folder_path: str = Field(default="in", description="Folder to read")
"""
HEAVY = """
raise RuntimeError("the catalog imported the job")
"""
JOBS = """
import acme.heavy
import acme.settings as names
from acme import settings as module
from acme.settings import LoadSettings
from nightferry import job
from nightferry.job import background_task
from .settings import LoadSettings as Relative

@background_task("load-orders", LoadSettings)
def load_orders(settings, run): ...

@job.background_task(settings=Relative, name="relative")
def relative(settings, run): ...

@background_task("by-module", module.LoadSettings)
def by_module(settings, run): ...

@background_task("by-name", names.LoadSettings)
def by_name(settings, run): ...

def plain(settings, run): ...

@background_task("no-class", module)
def no_class(settings, run): ...

@background_task("no-import", module.Missing)
def no_import(settings, run): ...

@background_task("computed"[:], LoadSettings)
def computed(settings, run): ...
"""
OWN = (
    SETTINGS
    + """
from nightferry.job import background_task

@background_task("own", LoadSettings)
def main(settings, run):
    print("loaded from", settings.folder_path)
"""
)


@pytest.fixture
def source(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return the folder ``src`` of a project with the package ``acme``, which is importable during the test."""
    folder = tmp_path / "src"
    (folder / "acme").mkdir(parents=True)
    files = {"__init__": "", "settings": SETTINGS, "heavy": HEAVY, "jobs": JOBS, "own": OWN, "broken": "def x(:\n"}
    for name, text in files.items():
        (folder / "acme" / f"{name}.py").write_text(text)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["load-orders", "relative", "by-module", "by-name"])
@pytest.mark.usefixtures("source")
def test_the_settings_class_is_found_without_importing_the_job(name: str) -> None:
    task = Catalog("app", image=Image("app")).task(name, main=f"acme.jobs:{name.replace('-', '_')}")
    assert (task.config.__module__, task.config.__name__) == ("acme.settings", "LoadSettings")
    assert task.description == "Loads orders."
    assert task.command == ("python", "-m", "nightferry.job", task.main)
    assert not {"acme.jobs", "acme.heavy"} & sys.modules.keys()


@pytest.mark.usefixtures("source")
def test_a_settings_class_in_the_jobs_module_imports_the_job() -> None:
    task = Catalog("app", image=Image("app"), console_scripts=True).task("own", main="acme.own:main")
    assert (task.config.__module__, task.command) == ("acme.own", ("own",))


@pytest.mark.parametrize(
    ("name", "main", "words"),
    [
        ("a", "acme.jobs.load_orders", ["package.module:function"]),
        ("a", "acme.job:load_orders", ["module 'acme.job' not found"]),
        ("a", "acme.jobs.more:load_orders", ["module 'acme.jobs.more' not found"]),
        ("a", "sys:exit", ["module 'sys' not found"]),
        ("a", "acme.broken:load", ["broken.py:1 is not valid Python"]),
        ("a", "acme.jobs:load_order", ["defines no function 'load_order'", "Did you mean 'load_orders'?"]),
        ("a", "acme.jobs:plain", ["'plain' is not a job", "@background_task(NAME, SETTINGS)"]),
        ("a", "acme.jobs:load_orders", ["has the name 'load-orders', not 'a'"]),
        ("no-class", "acme.jobs:no_class", ["module in acme is not a settings class", "JobSettings"]),
        ("no-import", "acme.jobs:no_import", ["cannot import its settings class module.Missing from acme"]),
        ("computed", "acme.jobs:computed", ["jobs.py:30", '@background_task("name-of-the-task", SettingsClass)']),
    ],
)
@pytest.mark.usefixtures("source")
def test_an_invalid_main_is_rejected_at_declaration(name: str, main: str, words: list[str]) -> None:
    with pytest.raises(InvalidMain) as caught:
        Catalog("app", image=Image("app")).task(name, main=main)
    for word in (f"task '{name}'", f"main = '{main}'", "tests/catalog/test_main_function.py:", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("package", "name"), [("psycopg", "'nightferry[postgres]'"), ("no_such_package", "no_such_package")]
)
def test_a_package_that_is_not_installed_is_named_with_its_command(
    source: Path, monkeypatch: pytest.MonkeyPatch, package: str, name: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    (source / "acme" / "settings.py").write_text(f"import {package}.errors\n{SETTINGS}")
    with pytest.raises(InvalidMain) as caught:
        Catalog("app", image=Image("app")).task("load-orders", main="acme.jobs:load_orders")
    cure = f". Add {name} to the dependencies in pyproject.toml and install it: pip install {name}"
    assert str(caught.value).endswith(cure)
    assert "acme.settings: " in str(caught.value)


@pytest.mark.usefixtures("source")
def test_a_task_has_either_a_main_or_a_command() -> None:
    catalog = Catalog("app", image=Image("app"))
    with pytest.raises(InvalidMain, match="neither main nor command"):
        catalog.task("none")
    with pytest.raises(InvalidMain, match="Remove command and config"):
        catalog.task("load-orders", main="acme.jobs:load_orders", command=["load-orders"])


def test_a_function_as_main_is_refused_with_the_right_form() -> None:
    with pytest.raises(InvalidMain, match="use the name of the function as 'module:function'"):
        Catalog("app", image=Image("app")).task("load", main=print)  # type: ignore[arg-type]


def test_a_command_without_a_settings_class_accepts_any_variable() -> None:
    task = Catalog("app", image=Image("app")).task("shell", command=["true"], env={"ANY": "1"})
    assert (task.env, task.main) == ({"ANY": "1"}, None)


CATALOG = """
from nightferry import Catalog, Image
catalog = Catalog("acme", image=Image("acme"))
own = catalog.task("own", main="acme.own:main", env={"FOLDER_PATH": "orders"})
"""


def test_a_project_that_is_not_installed_runs_its_job(source: Path) -> None:
    root = source.parent
    (source / "acme" / "declared.py").write_text(CATALOG)
    (root / "environments").mkdir()
    (root / "environments" / "local.toml").write_text('backend = "local"\n')
    (root / "pyproject.toml").write_text('[tool.nightferry]\ncatalog = "acme.declared:catalog"\n')
    assert list(Project.find(root).catalog.tasks) == ["own"]

    program = "import sys; from nightferry.cli.app import main; sys.argv[0] = 'nightferry'; main()"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-c", program, "run", "own"], cwd=root, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "loaded from orders" in result.stdout


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["acme.own:main", "--folder-path=here"], 0, "loaded from here"),
        (["acme.own:main", "--folder-pat=here"], 2, "unrecognized arguments"),
        ([], 2, "Usage: python -m nightferry.job"),
        (["acme.none:main"], 2, "module 'acme.none' not found"),
        (["acme.own:missing"], 2, "acme.own:missing is not a job"),
    ],
)
def test_python_m_runs_a_job_by_its_functions_name(source: Path, arguments: list[str], code: int, words: str) -> None:
    environment = {"PATH": os.environ["PATH"], "ENVIRONMENT": "test"}
    result = subprocess.run(
        [sys.executable, "-m", "nightferry.job", *arguments],
        cwd=source.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, words in result.stdout + result.stderr) == (code, True), result.stdout + result.stderr
