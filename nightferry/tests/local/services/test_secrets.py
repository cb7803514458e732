"""Test local secrets: private files that appear in no log, record or process list."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightferry.backend.runs import RunRequest
from nightferry.catalog.catalog import Secret
from nightferry.environments.private_paths import NotPrivate
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.services import secrets
from tests.accounts import give_away
from tests.local.toy import make_project

VALUE = "pässwörd-of-the-database"
KEY = "-----BEGIN KEY-----\nq83vEjRWeJASNFZ4\nkLzS4fNWeJASNFZ4\n-----END KEY-----\n"


def test_only_the_owner_can_read_a_secret(tmp_path: Path) -> None:
    secrets.write(tmp_path / "state", "dor-import/key", VALUE)
    file = secrets.get_path(tmp_path / "state", "dor-import/key")
    assert file.name == "dor-import__key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert secrets.read_values(tmp_path / "state", {"KEY": Secret("dor-import/key")}, "a task") == {"KEY": VALUE}


def test_line_ends_around_a_secret_are_removed(tmp_path: Path) -> None:
    secrets.write(tmp_path, "key", "first\nsecond \r\n\n")
    assert secrets.read_values(tmp_path, {"KEY": Secret("key")}, "a task") == {"KEY": "first\nsecond "}


def test_a_missing_secret_is_reported_with_its_file_unless_optional(tmp_path: Path) -> None:
    assert secrets.read_values(tmp_path, {"KEY": Secret("key", optional=True)}, "task 'x'") == {}
    with pytest.raises(
        secrets.MissingSecret, match=r"task 'x' requires the secret 'key' \(KEY\).*: nightferry secrets set key"
    ):
        secrets.read_values(tmp_path, {"KEY": Secret("key")}, "task 'x'")


def test_a_secret_that_is_not_text_is_reported_without_its_value(tmp_path: Path) -> None:
    secrets.write(tmp_path, "key", "x")
    secrets.get_path(tmp_path, "key").write_bytes(b"\xff\xfeopensesame")
    with pytest.raises(secrets.MissingSecret, match=r"is not UTF-8 text\.") as raised:
        secrets.read_values(tmp_path, {"KEY": Secret("key")}, "task 'x'")
    assert "opensesame" not in str(raised.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o602])
def test_a_secret_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    secrets.write(tmp_path, "key", VALUE)
    secrets.get_path(tmp_path, "key").chmod(mode)
    with pytest.raises(NotPrivate, match=rf"Other accounts can read .*mode {mode:o}.*chmod 600") as raised:
        secrets.read_values(tmp_path, {"KEY": Secret("key", optional=True)}, "task 'x'")
    assert VALUE not in str(raised.value)


def test_a_secret_of_another_account_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.write(tmp_path, "key", VALUE)
    give_away(secrets.get_path(tmp_path, "key"), monkeypatch)
    with pytest.raises(NotPrivate, match="belongs to the account"):
        secrets.read_values(tmp_path, {"KEY": Secret("key")}, "task 'x'")


def test_a_secret_may_be_behind_a_link_but_is_checked_itself(tmp_path: Path) -> None:
    secrets.write(tmp_path, "other", VALUE)
    secrets.get_path(tmp_path, "key").symlink_to(secrets.get_path(tmp_path, "other"))
    assert secrets.read_values(tmp_path, {"KEY": Secret("key")}, "task 'x'") == {"KEY": VALUE}
    secrets.get_path(tmp_path, "other").chmod(0o644)
    with pytest.raises(NotPrivate):
        secrets.read_values(tmp_path, {"KEY": Secret("key")}, "task 'x'")


@given(st.lists(st.text(alphabet="abc \n", max_size=12), max_size=4), st.text(alphabet="abc ", max_size=60))
def test_every_line_of_a_secret_is_masked(values: list[str], text: str) -> None:
    masked = secrets.Mask(values)(text.encode()).decode()
    for line in (line.strip() for value in values for line in value.splitlines()):
        assert len(line) < secrets.MIN_HIDDEN_LENGTH or line not in masked


def test_a_task_gets_its_secret_and_no_file_contains_it(tmp_path: Path) -> None:
    project = Project.find(make_project(tmp_path / "project"))
    module = next(project.root.glob("toy_*.py"))
    module.write_text(
        module.read_text()
        + "\nsh('prints', 'echo \"got $PASSWORD\"; echo \"$COLOR\"; ps -ef', "
        + "secrets={'PASSWORD': Secret('password'), 'COLOR': Secret('key')})\n"
    )
    backend = LocalBackend(project, project.environment("local"))
    secrets.write(project.state, "password", VALUE)
    secrets.write(project.state, "key", KEY)
    id = backend.run_task(RunRequest("prints"))
    asyncio.run(backend.work(lambda: backend.run(id).status == "STOPPED"))
    lines = [line.text for line in backend.log([id])]
    assert lines[:5] == ["got [secret]"] + ["[secret]"] * 4
    backend.store.close()
    for file in project.state.rglob("*"):
        if file.is_file() and file.parent.name != "secrets":
            content = file.read_bytes()
            assert VALUE.encode() not in content
            assert b"q83vEjRWeJASNFZ4" not in content
