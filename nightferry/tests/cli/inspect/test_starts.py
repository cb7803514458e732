"""``nightferry starts`` on terminals, in pipes and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.local.store import ScheduleRecord, StartRecord, Store
from tests.cli.terminal import nightferry, on_terminal
from tests.local.toy import make_project

DECLARED = """
catalog.schedule("nightly", catalog.workflows["fails"], "cron(30 20 * * ? *)")
catalog.object_trigger("arrival", hello, bucket=inbox, prefix="in/")
"""

DUE = datetime(2026, 11, 3, 20, 30, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_project(tmp_path / "a project")
    module = next(root.glob("toy_*.py"))
    module.write_text(module.read_text() + DECLARED)
    state = Project.find(root).state
    state.mkdir(mode=0o700)
    store = Store(state / "engine.sqlite")
    for days, outcome in enumerate(("started", "missed", "skipped")):
        due = DUE + timedelta(days=days)
        start = StartRecord(
            f"schedule:nightly:{days}", "schedule:nightly", "workflow", "fails", due, due, outcome, f"e{days}", "a note"
        )  # type: ignore[arg-type]
        store.add_start(start)
    store.add_start(StartRecord("trigger:arrival:in/x:v", "trigger:arrival", "task", "hello", DUE, DUE, "started", "r"))
    store.close()
    return root


def test_starts_are_listed_and_filtered(root: Path) -> None:
    listed = nightferry(root, "starts")
    assert listed.returncode == 0
    assert [line.split("\t")[1:4] for line in listed.stdout.splitlines()] == [
        ["schedule:nightly", "skipped", "e2"],
        ["schedule:nightly", "missed", "e1"],
        ["trigger:arrival", "started", "r"],
        ["schedule:nightly", "started", "e0"],
    ]
    missed = nightferry(root, "starts", "nightly", "--outcome", "missed").stdout
    assert [line.split("\t")[3] for line in missed.splitlines()] == ["e1"]
    assert nightferry(root, "starts", "arrival").stdout.endswith("in/x\n")
    assert nightferry(root, "starts", "arrival", "--outcome", "missed").stdout == "No starts found.\n"
    since = nightferry(root, "starts", "--since", "2026-11-05T00:00:00+00:00", "--json")
    assert [start["id"] for start in json.loads(since.stdout)["starts"]] == ["e2"]
    code, drawn = on_terminal(root, "starts")
    assert code == 0
    assert "skipped" in drawn


def test_late_fires_are_reported_first(root: Path) -> None:
    store = Store(Project.find(root).state / "engine.sqlite")
    now = datetime.now(UTC)
    store.save_schedule(ScheduleRecord("nightly", "", True, DUE, now - timedelta(days=2, minutes=5)))
    store.close()
    found = nightferry(root, "starts", "nightly", "--json")
    (late,) = json.loads(found.stdout)["late"]
    assert late["schedule"] == "nightly"
    assert len(late["fires"]) in (2, 3)
    assert "fires are late since" in nightferry(root, "starts").stderr


def test_an_unknown_name_is_refused(root: Path) -> None:
    refused = nightferry(root, "starts", "nightli")
    assert refused.returncode == 2
    assert "nightly" in refused.stderr
