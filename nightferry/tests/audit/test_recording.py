"""Test the record of actions: the file, redaction, and what a killed process leaves."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightferry.audit.journal import ActionJournal
from nightferry.audit.recording import Recorder
from nightferry.backend.actions import Action, ActionFilter, ActionResult, format_stop_reason, parse_stop_author
from nightferry.contract import Privacy
from nightferry.errors import NightferryError
from nightferry.testing.clock import FakeClock

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> ActionJournal:
    return ActionJournal(tmp_path / "state of a project", "test")


def make_recorder(journal: ActionJournal, author: str = "ann") -> Recorder:
    return Recorder(journal, author, "dashboard", Privacy.STRICT, FakeClock(NOW))


def test_an_action_is_recorded_with_its_result(journal: ActionJournal) -> None:
    with make_recorder(journal).record("stop", "run-1", "It hangs.") as outcome:
        [begun] = journal.actions()
        assert begun.result is None, "the request is written before the action"
        outcome.text, outcome.ids = "The stop was requested.", ["run-1"]
    [action] = journal.actions()
    result = ActionResult(action.id, NOW, False, "The stop was requested.", ("run-1",))
    assert action == Action(action.id, NOW, "ann", "stop", "run-1", "It hangs.", "dashboard", result)
    assert stat.S_IMODE(journal.file.stat().st_mode) == 0o600


def test_an_error_is_the_result_of_its_action(journal: ActionJournal) -> None:
    with pytest.raises(NightferryError), make_recorder(journal).record("redrive", "e-1"):
        raise NightferryError("Cannot redrive e-1: it succeeded.")
    with pytest.raises(RuntimeError), make_recorder(journal).record("redrive", "e-1"):
        raise RuntimeError("SSN 123-45-6789")
    texts = [(one.result.failed, one.result.text) for one in journal.actions() if one.result is not None]
    assert sorted(texts) == [(True, "Cannot redrive e-1: it succeeded."), (True, "ended by RuntimeError")]


def test_reasons_are_redacted_and_take_one_line(journal: ActionJournal) -> None:
    with make_recorder(journal).record("stop", "run-1", "for 123-45-6789\n\x1b[31mred " + "x" * 600):
        pass
    [action] = journal.actions()
    assert "123-45-6789" not in journal.file.read_text()
    assert "\x1b" not in action.reason
    assert "\n" not in action.reason
    assert len(action.reason) == 500


def test_other_environments_and_damaged_lines_are_left_out(journal: ActionJournal) -> None:
    with make_recorder(journal).record("run", "hello"):
        pass
    with make_recorder(ActionJournal(journal.file.parent, "prod")).record("run", "hello"):
        pass
    with journal.file.open("ab") as file:
        file.write(b'{"request": "cut by a power fail')
    with make_recorder(journal).record("run", "three"):
        pass
    with journal.file.open("ab") as file:
        file.write(b'[1]\n{"environment": "test"}\n{"environment": "test", "time": "x", "action": "run"}\n\xff\n')
    assert sorted(one.target for one in journal.actions()) == ["hello", "three"]


def test_pages_and_filters_of_the_file(journal: ActionJournal) -> None:
    for n in range(2500):  # more than one block of the file
        action = Action(f"{n:05}", NOW + timedelta(seconds=n), "ann" if n % 2 else "bob", "run", "t", "why", "cli")
        journal.add_action(action) if n % 500 == 0 else None
        if n % 500 == 0:
            journal.add_action_result(ActionResult(action.id, action.time, False, "x" * 20_000, (f"r{n}",)))
    first = journal.actions(limit=2)
    rest = journal.actions(before=first.next, limit=20)
    assert [one.id for one in (*first, *rest)] == ["02000", "01500", "01000", "00500", "00000"]
    assert [one.id for one in journal.actions(ActionFilter(id="r1000"))] == ["01000"]
    assert not journal.actions(ActionFilter(author="ann"))


def test_parallel_writers_lose_no_line(journal: ActionJournal) -> None:
    def write(author: str) -> None:
        for _ in range(20):
            with make_recorder(journal, author).record("run", "t", "y" * 400):
                pass

    threads = [threading.Thread(target=write, args=(f"writer{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.actions(limit=1000)) == 80
    assert all(json.loads(line) for line in journal.file.read_text().splitlines())


def test_a_killed_process_leaves_a_request_without_a_result(journal: ActionJournal) -> None:
    program = f"""
import os, signal
from pathlib import Path
from nightferry.audit.journal import ActionJournal
from nightferry.audit.recording import Recorder
from nightferry.clock import get_clock
from nightferry.contract import Privacy
log = ActionJournal(Path({str(journal.file.parent)!r}), "test")
with Recorder(log, "ann", "cli", Privacy.STRICT, get_clock()).record("stop", "run-1", "It hangs."):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    folder = journal.file.parent.parent
    ended = subprocess.run([sys.executable, "-c", program], cwd=folder, check=False)
    assert ended.returncode == -signal.SIGKILL
    [action] = journal.actions()
    assert replace(action, id="", time=NOW) == Action("", NOW, "ann", "stop", "run-1", "It hangs.", "cli", None)


def test_a_stop_keeps_its_author() -> None:
    reason = format_stop_reason("x" * 300, "jane", 255)
    assert (len(reason), parse_stop_author(reason)) == (255, "jane")
    assert parse_stop_author("Stopped by hand.") == ""
    assert format_stop_reason("Stopped by hand.", "", 255) == "Stopped by hand."
