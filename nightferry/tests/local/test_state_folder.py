"""Everything that creates the state directory makes Git ignore its files."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nightferry import Catalog, CommandService, Image
from nightferry.aws.runs.journal import Journal
from nightferry.clock import SystemClock
from nightferry.environments.environment import Environment
from nightferry.environments.state_folder import create_state_folder
from nightferry.local.engine import engine_lock
from nightferry.local.monitoring.engine_log import write_engine_log
from nightferry.local.processes.processes import build_base_environment
from nightferry.local.services import data_folders, secrets
from nightferry.local.services.data_folders import find_folder
from nightferry.local.services.services import Services
from nightferry.local.store import Store
from nightferry.storage import session


def make_services(state: Path) -> Services:
    catalog = Catalog("toy", image=Image("toy"))
    catalog.service(CommandService("web", command=("web",), ready="/"))
    return Services(catalog, Environment("local", "local", {}, Path("local.toml")), state)


def enter(context: object) -> None:
    with context:  # type: ignore[attr-defined]
        logging.getLogger("nightferry.engine").info("line")


CREATORS: dict[str, Callable[[Path], object]] = {
    "lock": lambda state: enter(engine_lock.lock(state)),
    "log": lambda state: enter(write_engine_log(state)),
    "store": lambda state: Store(state / "engine.sqlite").close(),
    "secret": lambda state: secrets.write(state, "key", "x"),
    "bucket": lambda state: make_services(state).resolve.get_bucket_folder("inbox"),
    "object": lambda state: session().store(
        f"{make_services(state).resolve.get_bucket_folder('inbox').as_uri()}/feeds/day/a.csv", b"x", expected=None
    ),
    "service": lambda state: make_services(state).describe(),
    "database": lambda state: find_folder("database", state),
    "task": build_base_environment,
    "call": lambda state: enter(Journal(state, "test", SystemClock()).record({})),
}


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the folders of databases, which no server uses here, in the test's folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(data_folders, "ROOT_FOLDER", tmp_path / "home" / "nightferry")


@pytest.mark.parametrize("creator", CREATORS)
def test_git_ignores_the_directory(tmp_path: Path, creator: str) -> None:
    state = tmp_path / "project" / ".nightferry"
    CREATORS[creator](state)
    assert (state / ".gitignore").read_text().splitlines()[1] == "*"
    assert state.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("creator", CREATORS)
def test_other_accounts_can_access_no_file_in_the_directory(tmp_path: Path, creator: str) -> None:
    tmp_path.chmod(0o755)
    (state := tmp_path / "state").mkdir(mode=0o755)  # as the root of a project, to which NIGHTFERRY_STATE may point
    before = os.umask(0)
    try:
        CREATORS[creator](state)
        (state / ".gitignore").unlink(missing_ok=True)
    finally:
        os.umask(before)
    modes = {str(path.relative_to(state)): path.stat().st_mode & 0o077 for path in state.rglob("*")}
    assert {path: f"{mode:o}" for path, mode in modes.items() if mode} == {}


def test_the_file_is_not_written_over_and_not_into_the_root_of_a_project(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    assert (create_state_folder(tmp_path) / ".gitignore").read_text() == "mine\n"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "pyproject.toml").touch()
    assert not (create_state_folder(tmp_path / "other") / ".gitignore").exists()
