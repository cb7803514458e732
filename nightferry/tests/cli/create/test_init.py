"""``nightferry init``: the new project works at once, and a refused name writes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nightferry.cli.app import app
from nightferry.cli.create.init import FolderNotEmpty, InvalidProjectName, ProjectNotWritten, parse_name, write_project

LONGEST_NAME = "a-name-of-twenty-letters"
FILES = {
    ".dockerignore",
    ".github/workflows/ci.yml",
    ".gitignore",
    "Dockerfile",
    "environments/local.toml",
    "environments/test.toml",
    "pyproject.toml",
    "requirements-build.lock",
    "src/first_orders/__init__.py",
    "src/first_orders/catalog.py",
    "src/first_orders/jobs.py",
    "src/first_orders/settings.py",
    "tests/test_jobs.py",
}


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def list_files(folder: Path) -> set[str]:
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {name for name in found if not name.startswith((".nightferry/", "infra/")) and "__pycache__" not in name}


def test_a_new_project_runs_its_job_and_can_be_deployed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    created = invoke("init", "first orders")
    assert created.exit_code == 0, created.output
    assert "Hello, world!" in created.output
    assert created.output.endswith("Next: cd first-orders && nightferry run hello --who=Ada\n")
    project = folder / "first-orders"
    assert list_files(project) == FILES
    texts = "".join((project / file).read_text() for file in FILES)
    assert "my_project" not in texts
    assert "my-project" not in texts

    monkeypatch.chdir(project)
    assert invoke("synth", "--env", "test").exit_code == 0
    assert (project / "infra" / "ecs-tasks" / "test" / "tasks.tf.json").is_file()
    unchanged = invoke("diff", "--env", "test")
    assert (unchanged.exit_code, unchanged.output) == (0, "No changes in test.\n")
    fires = invoke("next")
    assert fires.exit_code == 0
    assert "hello-daily" in fires.output

    (project / "environments" / "local.toml").unlink()
    missing = invoke("tasks", "--env", "local")
    assert "To create it, run: nightferry new-environment local" in str(missing.exception)
    assert invoke("new-environment", "local").output == "Wrote environments/local.toml. Now run: nightferry up\n"
    assert invoke("schedules", "--env", "local").exit_code == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("class", "'class' is a keyword of Python. Choose another name, such as class-jobs."),
        ("json", "'json' is the name of an installed Python module"),
        ("nightferry", "'nightferry' is the name of an installed Python module"),
        ("tests", "'tests' is the name of an installed Python module"),
        ("My Orders", "'My Orders' is not a valid name of a project"),
        ("My Orders", "starting with a letter, such as my-orders."),
        ("9-lives", "such as lives."),
        ("../parcels", "such as parcels."),
        ("Class", "such as class-jobs."),
        ("a" * 25, "at most 24 lowercase letters"),
        ("ordré", "is not a valid name of a project"),
        ("", "is not a valid name of a project"),
    ],
)
def test_an_unusable_name_is_refused_and_nothing_is_written(folder: Path, name: str, message: str) -> None:
    refused = invoke("init", name)
    assert isinstance(refused.exception, InvalidProjectName)
    assert message in str(refused.exception)
    assert list(folder.iterdir()) == []


def test_a_folder_with_files_is_refused_and_not_changed(folder: Path) -> None:
    (folder / "parcels").mkdir()
    (folder / "parcels" / "notes").write_text("mine")
    refused = invoke("init", "parcels")
    assert isinstance(refused.exception, FolderNotEmpty)
    assert [str(path.relative_to(folder)) for path in folder.rglob("*")] == ["parcels", "parcels/notes"]
    (folder / "invoices").write_text("a file")
    assert isinstance(invoke("init", "invoices").exception, FolderNotEmpty)
    assert (folder / "invoices").read_text() == "a file"


def test_a_folder_that_refuses_files_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/dev/fd")  # refuses new files, also of root
    refused = invoke("init", "orders")
    assert isinstance(refused.exception, ProjectNotWritten)
    assert "/orders cannot be written: " in str(refused.exception)


def test_a_command_outside_a_project_offers_init(folder: Path) -> None:
    assert "nightferry init NAME" in str(invoke("tasks").exception)


def run(project: Path, *command: str) -> None:
    ended = subprocess.run([sys.executable, "-m", *command], cwd=project, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ["parcels", LONGEST_NAME])
def test_a_new_project_is_formatted(folder: Path, name: str) -> None:
    write_project(parse_name(name), folder / name)
    run(folder / name, "ruff", "check", ".")
    run(folder / name, "ruff", "format", "--check", ".")


@pytest.mark.long
def test_a_new_project_passes_its_own_checks(folder: Path) -> None:
    (folder / LONGEST_NAME).mkdir()  # an empty folder is accepted
    write_project(parse_name(LONGEST_NAME), folder / LONGEST_NAME)
    run(folder / LONGEST_NAME, "mypy")
    run(folder / LONGEST_NAME, "pytest")
    programs = Path(sys.executable).parent
    zizmor = (programs / "zizmor", "--offline", "--persona", "pedantic", ".github/workflows/ci.yml")
    subprocess.run(zizmor, cwd=folder / LONGEST_NAME, check=True)
    if (programs / "hadolint").exists():  # only for Linux on x86-64
        subprocess.run([programs / "hadolint", "Dockerfile"], cwd=folder / LONGEST_NAME, check=True)
