"""The documents are complete: every link has a target, and every command, task and workflow is described."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer.main

from nightferry.cli.app import app
from paidleave.catalog import catalog

ROOT = Path(__file__).parents[2]
PAGES = [page for page in sorted(ROOT.rglob("*.md")) if not any(part.startswith(".") for part in page.parts)]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
ALL = "\n".join(TEXTS.values())
VERBS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # a group has them
PROJECT = tomllib.loads((ROOT / "paidleave" / "pyproject.toml").read_text(encoding="utf-8"))
SCRIPTS = sorted(PROJECT["project"]["scripts"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_has_a_target(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", TEXTS[page])
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]

    assert not broken


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_described(verb: str) -> None:
    assert re.search(rf"nightferry {verb}\b", ALL)


@pytest.mark.parametrize("name", sorted({*SCRIPTS, *catalog.tasks, *catalog.workflows}))
def test_every_command_task_and_workflow_is_described(name: str) -> None:
    assert re.search(rf"`{name}\b", ALL) or re.search(rf"[ \n]{name}\b", ALL)


def test_every_described_verb_exists() -> None:
    described = set(re.findall(r"`nightferry ([a-z][a-z-]*)", ALL))

    assert described <= {*VERBS}
