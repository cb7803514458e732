"""``nightferry init``: write a new project, and run its first job."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
import tempfile
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from nightferry.backend.runs import RunRequest
from nightferry.cli.terminal.options import current_user, open_backend
from nightferry.cli.terminal.output import Terminal
from nightferry.cli.terminal.running import follow_to_end
from nightferry.cli.terminal.streams import echo
from nightferry.environments.project import Project
from nightferry.errors import NightferryError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 24  # with an environment and a schedule, it must fit AWS's 64 characters
# The names in the template, which is a valid project itself.
_TEMPLATE_PACKAGE, _TEMPLATE_NAME = "my_project", "my-project"
_TESTS = "tests"  # the other package in a project's folder


class InvalidProjectName(NightferryError):
    """The name is not usable for a Python package or for AWS resources. Nothing was written."""


class FolderNotEmpty(NightferryError):
    """The project's folder already has files. Nothing was written."""


class ProjectNotWritten(NightferryError):
    """The folder or disk refused the project's files. No file of the project remains."""


@dataclass(frozen=True)
class Names:
    """The names that follow from the argument: for AWS and the folder ``my-project``, in Python ``my_project``."""

    project: str

    @property
    def package(self) -> str:
        """The name of the Python package."""
        return self.project.replace("-", "_")

    def fill_in(self, text: str) -> str:
        """Return a text of the template with these names."""
        return text.replace(_TEMPLATE_PACKAGE, self.package).replace(_TEMPLATE_NAME, self.project)


def init(
    name: Annotated[str, typer.Argument(help="Name of the new project and its folder.", metavar="NAME")],
) -> None:
    """Write a new project with a job, a schedule, two environments and a test, and run the job."""
    names = parse_name(name)
    folder = Path(names.project)
    try:
        write_project(names, folder)
    except OSError as error:
        raise ProjectNotWritten(
            f"{folder.absolute()} cannot be written: {error.strerror}. Run the command in a folder of your own."
        ) from None
    echo(f"Wrote the project {names.project}:\n")
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        echo(f"  {file}")
    echo("\nIts first job, nightferry run hello:\n")
    code = _run_first_job(folder)
    if code == 0:
        echo(f"\nNext: cd {folder} && nightferry run hello --who=Ada")
    raise typer.Exit(code)


def parse_name(name: str) -> Names:
    """Return the names of a project. Raises InvalidProjectName."""
    names = Names(re.sub(r"[\s_-]+", "-", name.strip()))
    if problem := _find_problem(names):
        similar = Names(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:_LONGEST_NAME].strip("-"))
        if _find_problem(similar):
            similar = Names(f"{similar.project[: _LONGEST_NAME - 5]}-jobs".lstrip("-"))
        raise InvalidProjectName(f"'{name}' {problem}, such as {similar.project}.")
    return names


def _find_problem(names: Names) -> str | None:
    if not _NAME.fullmatch(names.project) or len(names.project) > _LONGEST_NAME:
        return (
            f"is not a valid name of a project. Use at most {_LONGEST_NAME} lowercase letters, digits, dashes and "
            "blanks, starting with a letter"
        )
    package = names.package
    if keyword.iskeyword(package):
        return "is a keyword of Python. Choose another name"
    if package == _TESTS or package in sys.stdlib_module_names or importlib.util.find_spec(package) is not None:
        return "is the name of an installed Python module, which the project would replace. Choose another name"
    return None


def write_project(names: Names, folder: Path) -> None:
    """Write the project; nothing remains if it fails. Raises FolderNotEmpty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderNotEmpty(
            f"{folder} already exists and is not an empty folder. Choose another name, or move it away."
        )
    template = files(__package__) / "project-template"
    with (
        tempfile.TemporaryDirectory(prefix=f".{names.project}-", dir=folder.parent) as work,
        as_file(template) as source,
    ):
        written = Path(work) / names.project
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            name = str(file.relative_to(source))
            if not re.search(r"(^|/)(\.|__pycache__)", name):  # the caches of tools, in a checkout of Nightferry
                target = written / names.fill_in(name.replace("dot-", "."))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(names.fill_in(file.read_text(encoding="utf-8")), encoding="utf-8")
        written.rename(folder)


def _run_first_job(folder: Path) -> int:
    """Run the job hello on this machine, as ``nightferry run hello`` in the project's folder does."""
    backend = open_backend(Project.find(folder), "local")
    id = backend.run_task(RunRequest("hello", started_by=current_user()))
    return follow_to_end(backend, id, "local", Terminal(), raw=False)
