"""The form of every task of the examples accepts and refuses what the command line does."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.testing.form_comparison import compare
from tests.local import toy

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", NAMES)
def test_forms_of_the_examples_equal_the_command_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES / name / "src")
    project = Project.find(EXAMPLES / name)
    for environment in ("local", "test"):
        compared = [
            one
            for task in project.catalog.tasks.values()
            for one in compare(project.catalog, task, project.environment(environment))
        ]
        assert len(compared) > 5


def test_forms_of_settings_without_a_class_equal_the_command_line(tmp_path: Path) -> None:
    project = Project.find(toy.make_project(tmp_path / "a toy"))
    for task in project.catalog.tasks.values():
        assert list(compare(project.catalog, task, project.environment("local")))
