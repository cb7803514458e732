"""A state directory owns its databases by a token. A path, a copied file or a missing one proves nothing."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nightferry.cli.app import main
from nightferry.environments.state_folder import IDENTITY_FILE, IdentityLost, StateCopied, create_state_folder
from nightferry.errors import NightferryError, ServiceFailed
from nightferry.local.services import data_folders
from nightferry.local.services.data_folders import ForeignDatabase, adopt, find_folder, list_folders, separate
from tests.accounts import OTHER
from tests.cli.terminal import environment, in_process
from tests.local.services.test_services import SERVER, fetch, services
from tests.local.toy import make_project


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of all databases."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(data_folders, "ROOT_FOLDER", tmp_path / "home" / "nightferry")
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "nightferry"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return create_state_folder(tmp_path / "state")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "toy")


def fill(folder: Path) -> Path:
    (folder / "data").mkdir()
    (folder / "data" / "rows").write_text("precious")
    return folder


def is_intact(folder: Path) -> bool:
    return (folder / "data" / "rows").read_text() == "precious"


def test_a_renamed_state_directory_keeps_its_database(state: Path, tmp_path: Path) -> None:
    folder = fill(find_folder("database", state))
    moved = state.rename(tmp_path / "moved")
    other = find_folder("database", create_state_folder(state))
    assert other != folder
    assert is_intact(folder), "a new directory at the old path neither uses nor deletes the database"
    assert find_folder("database", moved) == folder
    assert find_folder("database", moved) == folder
    assert [str(moved), str(state)] == sorted(found.owner.state for found in list_folders() if found.owner)


@pytest.mark.parametrize(
    "content",
    ["", "\n", "{}", "[]", "95c4f1547970", "../../etc", '{"token": "", "path": "/", "inode": 1}', "null", "[" * 9999],
)
def test_a_lost_identity_is_an_error(state: Path, content: str) -> None:
    folder = fill(find_folder("database", state))
    (state / IDENTITY_FILE).write_text(content)
    with pytest.raises(IdentityLost, match=r"missing, empty or damaged.*Nothing was changed.*databases adopt FOLDER"):
        find_folder("database", state)
    assert is_intact(folder)
    assert len(list_folders()) == 1


def test_a_deleted_identity_is_an_error_if_a_database_belongs_to_the_path(state: Path, tmp_path: Path) -> None:
    (tmp_path / "prepared").mkdir(mode=0o700)  # as by StateDirectory of systemd
    find_folder("database", tmp_path / "prepared")
    folder = fill(find_folder("database", state))
    (state / IDENTITY_FILE).unlink()
    with pytest.raises(IdentityLost):
        find_folder("database", state)
    assert is_intact(folder)


def test_a_directory_that_was_deleted_and_created_again_gets_a_new_database(state: Path) -> None:
    folder = fill(find_folder("database", state))
    shutil.rmtree(state)
    assert find_folder("database", state) != folder
    assert is_intact(folder)


def test_a_service_may_have_the_name_of_the_copied_programs(state: Path, base: Path) -> None:
    folder = find_folder("postgresql", state)
    (base / "postgresql-0123456789ab" / "bin").mkdir(parents=True)
    assert [found.folder for found in list_folders()] == [folder]


def test_the_folder_of_an_ordinary_account_follows_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    assert data_folders.get_base_folder() == Path(os.environ["XDG_STATE_HOME"]) / "nightferry"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # invalid by the specification
    monkeypatch.setenv("HOME", "/home/a person")
    assert data_folders.get_base_folder() == Path("/home/a person/.local/state/nightferry")
    monkeypatch.setenv("HOME", "")
    with pytest.raises(NightferryError, match=r"has no home folder.*Set HOME"):
        data_folders.get_base_folder()


COPIES: dict[str, Callable[[Path, Path], object]] = {
    "beside the original": lambda state, copy: shutil.copytree(state, copy),
    "of a deleted original": lambda state, copy: (shutil.copytree(state, copy), shutil.rmtree(state)),
    "of a renamed original": lambda state, copy: (shutil.copytree(state, copy), state.rename(f"{state}-moved")),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_does_not_get_the_database(state: Path, tmp_path: Path, kind: str) -> None:
    folder = fill(find_folder("database", state))
    COPIES[kind](state, tmp_path / "copy")
    with pytest.raises(StateCopied, match=r"cop.*Nothing was changed.*databases separate"):
        find_folder("database", tmp_path / "copy")
    assert is_intact(folder)
    separate(tmp_path / "copy")
    assert find_folder("database", tmp_path / "copy") != folder


def test_a_copy_in_the_place_of_its_original_does_not_get_the_database(state: Path, tmp_path: Path) -> None:
    folder = fill(find_folder("database", state))
    moved = state.rename(tmp_path / "moved")
    shutil.copytree(moved, state)
    with pytest.raises(StateCopied):
        find_folder("database", state)
    assert find_folder("database", moved) == folder
    with pytest.raises(StateCopied):
        find_folder("database", state)
    assert is_intact(folder)


def test_a_snapshot_with_the_same_inode_number_is_a_copy(state: Path, tmp_path: Path) -> None:
    find_folder("database", state)
    copy = Path(shutil.copytree(state, tmp_path / "copy"))
    identity = json.loads((copy / IDENTITY_FILE).read_text())
    (copy / IDENTITY_FILE).write_text(json.dumps({**identity, "inode": copy.stat().st_ino}))
    with pytest.raises(StateCopied):
        find_folder("database", copy)


@pytest.mark.parametrize("change", [{"token": "0" * 32}, {"service": "other"}, None])
def test_the_token_in_the_databases_folder_must_match(state: Path, change: dict[str, str] | None) -> None:
    folder = fill(find_folder("database", state))
    owner = json.loads((folder / "owner.json").read_text())
    (folder / "owner.json").unlink() if change is None else (folder / "owner.json").write_text(
        json.dumps(owner | change)
    )
    with pytest.raises(ForeignDatabase, match="token"):
        find_folder("database", state)
    assert is_intact(folder)


def test_a_folder_never_exists_without_its_owner(state: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_folder("first", state)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die)
        with pytest.raises(KeyboardInterrupt):
            find_folder("database", state)
    assert [found.folder.name.partition("-")[0] for found in list_folders()] == ["first"]
    assert find_folder("database", state).name.startswith("database-")


def test_adopting_needs_a_database_without_state_directory(state: Path, tmp_path: Path) -> None:
    folder = fill(find_folder("database", state))
    other = create_state_folder(tmp_path / "other")
    (found,) = list_folders()
    with pytest.raises(ForeignDatabase, match=f"belongs to {state}, which exists"):
        adopt(other, found)
    shutil.copytree(state, tmp_path / "copy")
    with pytest.raises(ForeignDatabase, match=f"belongs to {state}, which exists"):
        adopt(tmp_path / "copy", None)
    shutil.rmtree(state)
    adopt(tmp_path / "copy", None)  # as after a move to another file system
    assert find_folder("database", tmp_path / "copy") == folder
    shutil.rmtree(tmp_path / "copy")
    adopt(other, list_folders()[0])
    assert find_folder("database", other) == folder
    (other / IDENTITY_FILE).write_text("")
    adopt(other, list_folders()[0])  # the fix of a lost identity
    assert find_folder("database", other) == folder


def test_a_copy_does_not_share_a_running_service(tmp_path: Path) -> None:
    with services(tmp_path / "state") as owned:
        first = fetch(owned.address("simulator", "url"))["pid"]
        shutil.copytree(tmp_path / "state", tmp_path / "copy")
        with services(tmp_path / "copy") as copied, pytest.raises(StateCopied):
            copied.address("simulator", "url")
        separate(tmp_path / "copy")
        with services(tmp_path / "copy") as copied:
            assert fetch(copied.address("simulator", "url"))["pid"] != first
        assert fetch(owned.address("simulator", "url"))["pid"] == first


def test_an_engine_does_not_replace_a_service_of_a_moved_directory(tmp_path: Path) -> None:
    command = ("sh", "-c", 'exec "$0" -c "$1"', sys.executable, SERVER)
    with services(tmp_path / "state", command=command) as owned:
        pid = fetch(owned.address("simulator", "url"))["pid"]
        (tmp_path / "state").rename(tmp_path / "moved")
        create_state_folder(tmp_path / "state")
        assert owned.check() == []
        with pytest.raises(ServiceFailed, match="was moved or replaced while its services were in use"):
            owned._claim_state()
        assert fetch(owned.address("simulator", "url"))["pid"] == pid


def run(root: Path, *arguments: str) -> tuple[int, str]:
    variables = environment() | {"XDG_STATE_HOME": os.environ["XDG_STATE_HOME"]}
    ended = in_process(main, root, variables, "databases", *arguments)
    return ended.returncode, ended.stdout + ended.stderr


def test_the_command_lists_and_removes_the_databases_of_removed_projects(root: Path, tmp_path: Path) -> None:
    used, gone = root / ".nightferry", tmp_path / "gone"
    kept, removed = fill(find_folder("database", used)), fill(find_folder("database", gone))
    (removed / "data" / "link").symlink_to(kept / "data")
    shutil.rmtree(gone)
    listed = json.loads(run(root, "list", "--json")[1])
    assert [(entry["folder"], entry["state"], entry["running"]) for entry in listed] == sorted(
        [(str(kept), "in use", False), (str(removed), "not found", False)]
    )
    assert "not found" in run(root, "list")[1]
    code, text = run(root, "remove", removed.name)
    assert (code, "To confirm, add --yes" in text, removed.exists()) == (2, True, True)
    code, text = run(root, "remove", str(kept), "--yes")
    assert (code, f"belongs to {used}, which exists" in text) == (2, True)
    assert run(root, "remove", "database-none", "--yes")[0] == 2
    assert run(root, "remove", removed.name, "--yes")[0] == 0
    assert not removed.exists()
    assert is_intact(kept)


def test_the_command_adopts_and_separates(root: Path, tmp_path: Path) -> None:
    state = root / ".nightferry"
    folder = find_folder("database", create_state_folder(state))
    (state / IDENTITY_FILE).write_text("")
    assert run(root, "adopt", folder.name)[0] == 0
    assert find_folder("database", state) == folder
    assert run(root, "separate")[0] == 0
    assert find_folder("database", state) != folder
