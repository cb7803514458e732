"""``infra/`` is up to date with the catalog and the environments; ``make golden`` writes it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.terraform import synthesize

PROJECT = Project.find(Path(__file__).parent)
INFRA = PROJECT.root / "infra"
ENVIRONMENTS = sorted(
    path.stem
    for path in (PROJECT.root / "environments").glob("*.toml")
    if re.search(r'^backend = "aws"', path.read_text(), re.MULTILINE)
)


def read_committed(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(INFRA)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and ".terraform" not in path.parts and path.name != ".terraform.lock.hcl"
    }


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_committed_files_are_up_to_date(name: str) -> None:
    files = synthesize(PROJECT.catalog, PROJECT.environment(name))
    stored = read_committed(INFRA / "ecs-tasks" / name) | read_committed(INFRA / "modules")
    assert sorted(stored) == sorted(files), "run make golden"
    for path, text in files.items():
        assert stored[path] == text, f"{path} differs: run make golden"


def test_every_environment_on_aws_is_committed_and_no_other() -> None:
    assert {"prod", "stage", "test"} <= set(ENVIRONMENTS)
    assert sorted(path.name for path in (INFRA / "ecs-tasks").iterdir() if path.is_dir()) == ENVIRONMENTS


def test_no_file_names_a_machine() -> None:
    for path, text in read_committed(INFRA).items():
        assert not re.search(r"/home/|/work/|/root/|/Users/|/tmp/(?!\")", text), path


def test_declarations_do_not_depend_on_the_working_directory(tmp_path: Path) -> None:
    """A catalog that is loaded in another folder names the same files."""
    program = "from paidleave.catalog import catalog; print(catalog.tasks['dor-import'].declared_in)"
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("src/paidleave/catalog/tasks.py:")
