"""Test ``nightferry verify`` in a local environment."""

from __future__ import annotations

from pathlib import Path

from nightferry.backend.verify.findings import Finding
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image, Secret
from nightferry.local.services import secrets
from nightferry.local.verify import verify
from tests.cli.terminal import nightferry
from tests.local.toy import make_project
from tests.terraform.example import JobSettings


def catalog() -> Catalog:
    programs = {"sh": "", "no-such-tool": "apt-get install no-such-tool"}
    made = Catalog(
        "example",
        image=Image("example", programs=programs),
        secrets={"MODE": Secret("common/mode", optional=True)},
    )
    made.task(
        "python", command=["python"], config=JobSettings, env={"FOLDER_PATH": "x"}, secrets={"KEY": Secret("load/key")}
    )
    made.task("no-such-program", command=["no-such-program"], config=JobSettings, env={"FOLDER_PATH": "x"})
    return made


def find(state: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in verify(catalog(), state)}


def test_missing_resources_are_reported_with_the_fix(tmp_path: Path) -> None:
    findings = find(tmp_path)
    assert findings["load/key"].verdict == "missing"
    assert findings["load/key"].detail == "Required by python. Store it: nightferry secrets set load/key"
    assert findings["common/mode"].verdict == "ok"
    assert findings["no-such-program"].verdict == "missing"
    assert "python" not in findings
    assert findings["sh"].verdict == "ok"
    assert findings["no-such-tool"] == Finding("programs", "no-such-tool", "missing", "apt-get install no-such-tool")
    assert findings[str(tmp_path)].verdict == "ok"


def test_a_secret_that_other_users_can_read_is_not_allowed(tmp_path: Path) -> None:
    secrets.write(tmp_path, "load/key", "secret")
    assert find(tmp_path)["load/key"].verdict == "ok"
    secrets.get_path(tmp_path, "load/key").chmod(0o644)
    assert find(tmp_path)["load/key"].verdict == "not allowed"


def test_the_command_reports_all_findings_and_fails_if_one_is_missing(tmp_path: Path) -> None:
    root = make_project(tmp_path / "toy")
    answer = nightferry(root, "verify")
    assert answer.returncode == 1
    assert "no-such-program missing" in answer.stdout
    machine = nightferry(root, "verify", "--json")
    assert machine.returncode == 1
    assert '"verdict": "missing"' in machine.stdout
