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


def test_every_option_of_a_described_command_exists() -> None:
    """The reference lists the options. Those of ``run`` may also be settings of the task."""
    reference = (ROOT / "nightferry/docs/reference/commands.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### nightferry ([a-z-]+)\n(.*?)(?=^#{2,3} )", reference, re.MULTILINE | re.DOTALL)
    options = {verb: {"--help", *find_options(text)} for verb, text in sections}
    assert options.keys() == {*VERBS}
    used = re.findall(r"nightferry ([a-z][a-z-]*)\b([^`\n|#]*)", ALL)
    unknown = {
        f"{verb}{rest}"
        for verb, rest in used
        if verb in options and verb != "run" and not find_options(rest) <= options[verb]
    }

    assert unknown == set()


def find_options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text.partition(" -- ")[0]))


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    described = set(re.findall(r"(?:`|^)make ((?:-C \S+ )?[a-z][a-z -]*)", ALL, re.MULTILINE))
    assert {name for line in described for name in line.split() if name[0].isalpha()} <= targets
