"""The pages describe every command, task and workflow, and only existing ones."""

from __future__ import annotations

import re
import tomllib

import pytest
import typer.main

from nightferry.cli.app import app
from paidleave.catalog import catalog
from tests.documents.repository import ROOT, all_pages

VERBS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # a group has them
PROJECT = tomllib.loads((ROOT / "paidleave" / "pyproject.toml").read_text(encoding="utf-8"))
SCRIPTS = sorted(PROJECT["project"]["scripts"])


@pytest.fixture(scope="module")
def text() -> str:
    """Return the text of all pages."""
    return "\n".join((ROOT / path).read_text(encoding="utf-8") for path in all_pages())


def test_every_verb_is_described(text: str) -> None:
    assert [verb for verb in VERBS if not re.search(rf"nightferry {verb}\b", text)] == []


def test_every_command_task_and_workflow_is_described(text: str) -> None:
    names = {*SCRIPTS, *catalog.tasks, *catalog.workflows}
    assert [name for name in names if not re.search(rf"[` \n]{name}\b", text)] == []


def test_every_described_verb_exists(text: str) -> None:
    described = set(re.findall(r"`nightferry ([a-z][a-z-]*)", text))

    assert described <= {*VERBS}


def test_every_option_of_a_described_command_exists(text: str) -> None:
    """The reference lists the options. Those of ``run`` may also be settings of the task."""
    reference = (ROOT / "nightferry/docs/reference/commands.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### nightferry ([a-z-]+)\n(.*?)(?=^#{2,3} )", reference, re.MULTILINE | re.DOTALL)
    options = {verb: {"--help", *find_options(section)} for verb, section in sections}
    assert options.keys() == {*VERBS}
    used = re.findall(r"nightferry ([a-z][a-z-]*)\b([^`\n|#]*)", text)
    unknown = {
        f"{verb}{rest}"
        for verb, rest in used
        if verb in options and verb != "run" and not find_options(rest) <= options[verb]
    }

    assert unknown == set()


def find_options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text.partition(" -- ")[0]))


def test_every_target_of_make_exists(text: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    described = set(re.findall(r"(?:`|^)make ((?:-C \S+ )?[a-z][a-z -]*)", text, re.MULTILINE))
    assert {name for line in described for name in line.split() if name[0].isalpha()} <= targets
