"""The pages describe every command, task and workflow, and only existing ones."""

from __future__ import annotations

import re
import tomllib

import pytest
import typer.main

from nightferry.cli.app import app
from paidleave.catalog import catalog
from tests.documents.repository import PAGES, ROOT

ALL = "\n".join((ROOT / path).read_text(encoding="utf-8") for path in PAGES)
VERBS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # a group has them
PROJECT = tomllib.loads((ROOT / "paidleave" / "pyproject.toml").read_text(encoding="utf-8"))
SCRIPTS = sorted(PROJECT["project"]["scripts"])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_described(verb: str) -> None:
    assert re.search(rf"nightferry {verb}\b", ALL)


@pytest.mark.parametrize("name", sorted({*SCRIPTS, *catalog.tasks, *catalog.workflows}))
def test_every_command_task_and_workflow_is_described(name: str) -> None:
    assert re.search(rf"`{name}\b", ALL) or re.search(rf"[ \n]{name}\b", ALL)


def test_every_described_verb_exists() -> None:
    described = set(re.findall(r"`nightferry ([a-z][a-z-]*)", ALL))

    assert described <= {*VERBS}
