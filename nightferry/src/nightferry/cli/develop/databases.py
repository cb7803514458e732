"""``nightferry databases``: the databases of all projects on this machine, and which project owns each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from nightferry.cli.terminal.options import AsJson, print_json, print_status
from nightferry.cli.terminal.output import print_table
from nightferry.environments.project import Project
from nightferry.errors import NightferryError, UnknownName
from nightferry.local.engine import engine_lock
from nightferry.local.services import data_folders
from nightferry.local.services.data_folders import DataFolder
from nightferry.local.services.postgres import Postgres

app = typer.Typer(
    help="List the databases of all projects on this machine, and remove those of removed projects.",
    no_args_is_help=True,
    add_completion=False,
)
_Folder = Annotated[str, typer.Argument(help="Folder of a database, as the list shows it.", metavar="FOLDER")]


class DatabaseInUse(NightferryError):
    """The state directory of a database exists, or an engine uses it. The database was not changed."""


@app.command(name="list")
def list_databases(as_json: AsJson = False) -> None:
    """List the databases of this account with their folders and state directories.

    A database is outside its state directory, so it remains if the project's folder is deleted. Its state directory is
    then listed as not found, as it is if the directory was moved and not used since.
    """
    found = data_folders.list_folders()
    if as_json:
        print_json(
            [
                {
                    "folder": str(folder.folder),
                    "service": folder.owner.service if folder.owner else None,
                    "state_directory": folder.owner.state if folder.owner else None,
                    "state": _get_state(folder),
                    "running": Postgres(folder.folder).is_alive(),
                    "bytes": _measure(folder.folder),
                }
                for folder in found
            ]
        )
        return
    rows = [
        (
            folder.folder,
            _get_state(folder) + (", running" if Postgres(folder.folder).is_alive() else ""),
            f"{_measure(folder.folder) / 1e6:.0f} MB",
            folder.owner.state if folder.owner else "",
        )
        for folder in found
    ]
    print_table(("Folder", "State", "Size", "State directory"), rows, empty="This account has no databases.")


@app.command()
def remove(
    folder: _Folder,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm the deletion.")] = False,
) -> None:
    """Stop a database's server, and delete the database with all of its data.

    It is refused while the database's state directory exists, and without --yes.
    """
    found = _find(folder)
    if (state := found.state) is not None:
        raise DatabaseInUse(
            f"{found.folder} belongs to {state}, which exists. Nothing was changed. Delete that state directory first, "
            "or give it new, empty databases: nightferry databases separate"
        )
    if not yes:
        owner = f"of {found.owner.state}" if found.owner else "of an unknown project"
        server = ", whose server is running," if Postgres(found.folder).is_alive() else ""
        text = (
            f"This deletes {found.folder}, the database {owner}{server} with {_measure(found.folder) / 1e6:.0f} MB. If "
            'the state directory was only moved, run "nightferry services" there first.'
        )
        raise NightferryError(f"{text} Nothing was changed. To confirm, add --yes.")
    Postgres(found.folder).stop()
    data_folders.remove(found)
    print_status(f"Deleted {found.folder}.")


@app.command()
def adopt(
    folder: Annotated[
        str | None, typer.Argument(help="Folder of a database; default: that of the original.", metavar="FOLDER")
    ] = None,
) -> None:
    """Connect the project's state directory to an existing database whose own state directory is gone.

    It is needed after a state directory was moved to another file system or restored from a backup, and after its file
    "id" was lost.
    """
    project = _find_idle_project()
    data_folders.adopt(project.state, None if folder is None else _find(folder))
    print_status(f"{project.state} owns its databases again.")


@app.command()
def separate() -> None:
    """Give the project's state directory new, empty databases. Existing databases remain, without a state directory.

    It is needed for a copy of a state directory, which must not use the databases of its original.
    """
    project = _find_idle_project()
    data_folders.separate(project.state)
    print_status(f"{project.state} gets new, empty databases at the next start.")


def _find_idle_project() -> Project:
    project = Project.find()
    if engine_lock.is_running(project.state):
        raise DatabaseInUse(f"An engine uses {project.state}. Stop it first.")
    return project


def _find(name: str) -> DataFolder:
    folders = {str(found.folder): found for found in data_folders.list_folders()}
    for path in (name, str(Path(name).absolute()), str(data_folders.get_base_folder() / name)):
        if path in folders:
            return folders[path]
    raise UnknownName("database", name, folders)


def _get_state(folder: DataFolder) -> str:
    if folder.owner is None:
        return "unknown"
    return "not found" if folder.state is None else "in use"


def _measure(folder: Path) -> int:
    """Return the size of the files in bytes. Links are not followed."""
    total = 0
    for above, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(above, name).lstat().st_size
            except FileNotFoundError:
                continue
    return total
