"""The page about the tasks is the one that make reference writes, and has a meaning for each setting."""

from __future__ import annotations

import re

from paidleave.catalog import catalog
from tests.documents.repository import ROOT
from tools.reference import tasks

FILE = ROOT / "paidleave" / "docs" / "tasks.md"
PAGE = FILE.read_text(encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    assert tasks.render(ROOT / "paidleave") == PAGE, "The page is out of date. Run: make reference"


def test_each_task_and_workflow_has_a_section() -> None:
    sections = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)
    assert sections == [*catalog.tasks, *catalog.workflows]


def test_each_setting_and_secret_has_a_meaning() -> None:
    """The meaning is the last cell of a row."""
    assert [line for line in PAGE.splitlines() if re.fullmatch(r"\|.*\| +\|", line)] == []


def test_every_secret_and_schedule_is_on_the_page() -> None:
    secrets = {secret.name for task in catalog.tasks.values() for secret in task.secrets.values()}
    starts = {*catalog.schedules, *catalog.object_triggers}
    assert [name for name in secrets | starts if f"`{name}`" not in PAGE] == []
