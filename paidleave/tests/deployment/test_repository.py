"""The files for GitHub and git are valid, and the paths in them exist."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
MANIFESTS = {"pip": "pyproject.toml", "npm": "package.json", "github-actions": ".github", "docker": "Dockerfile"}


def read(name: str) -> Any:
    return yaml.safe_load((PROJECT / name).read_text(encoding="utf-8"))


def test_dependabot_updates_every_ecosystem_in_groups() -> None:
    updates = read(".github/dependabot.yml")["updates"]
    assert {update["package-ecosystem"] for update in updates} == MANIFESTS.keys()
    for update in updates:
        assert len(update["groups"]) == 1
        for folder in update.get("directories") or [update["directory"]]:
            assert (PROJECT / folder.strip("/") / MANIFESTS[update["package-ecosystem"]]).exists(), folder


def test_every_path_with_an_owner_exists() -> None:
    lines = (PROJECT / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    paths = [line.split()[0] for line in lines if line and line[0] != "#"]
    assert paths[0] == "*"
    for path in paths[1:]:
        assert path[0] == "/"
        assert (PROJECT / path[1:]).exists(), path


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_an_issue_form_has_the_fields_that_github_requires(form: str) -> None:
    content = read(f".github/ISSUE_TEMPLATE/{form}.yml")
    assert {"name", "description", "body"} <= content.keys()
    ids = [field.get("id") for field in content["body"] if field["type"] != "markdown"]
    assert None not in ids
    assert len(ids) == len(set(ids))


def test_the_hooks_are_valid_and_use_locked_tools() -> None:
    program = str(Path(sys.executable).with_name("pre-commit"))
    command = [program, "validate-config", str(PROJECT / ".pre-commit-config.yaml")]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    locked = (PROJECT / "requirements-dev.lock").read_text(encoding="utf-8")
    for hook in read(".pre-commit-config.yaml")["repos"][0]["hooks"]:
        tool = shlex.split(hook["entry"])[0]
        assert tool == "bash" or f"\n{Path(tool).name}==" in locked, hook["id"]


def test_the_hook_for_a_subject_reads_the_first_line_of_the_message(tmp_path: Path) -> None:
    (hook,) = (hook for hook in read(".pre-commit-config.yaml")["repos"][0]["hooks"] if hook["id"] == "commit-subject")
    message = tmp_path / "message"
    for subject, code in (("Add a schedule", 0), ("x" * 73, 1)):
        message.write_text(f"{subject}\n\n{'A long line of the body. ' * 9}\n")
        command = [*shlex.split(hook["entry"]), str(message)]
        ended = subprocess.run(
            command, check=False, capture_output=True, cwd=PROJECT, env={**os.environ, "LC_ALL": "C"}
        )
        assert ended.returncode == code
