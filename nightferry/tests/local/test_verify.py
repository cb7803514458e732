"""``nightferry verify`` on this machine."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from nightferry.backend.findings import Finding
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image, Secret
from nightferry.cli.app import app
from nightferry.local.services import secrets
from nightferry.local.verify import verify
from tests.terraform.example import JobSettings


def catalog() -> Catalog:
    made = Catalog("example", image=Image("example"), secrets={"MODE": Secret("common/mode", optional=True)})
    made.task(
        "python", command=["python"], config=JobSettings, env={"FOLDER_PATH": "x"}, secrets={"KEY": Secret("load/key")}
    )
    made.task("no-such-program", command=["no-such-program"], config=JobSettings, env={"FOLDER_PATH": "x"})
    return made


def found(state: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in verify(catalog(), state)}


def test_what_is_missing_is_named_with_its_cure(tmp_path: Path) -> None:
    findings = found(tmp_path)
    assert findings["load/key"].verdict == "missing"
    assert f"Needed by python. Write it into {secrets.file(tmp_path, 'load/key')}" in findings["load/key"].detail
    assert findings["common/mode"].verdict == "ok"
    assert findings["no-such-program"].verdict == "missing"
    assert "python" not in findings
    assert findings[str(tmp_path)].verdict == "ok"


def test_a_secret_that_others_may_read_is_not_allowed(tmp_path: Path) -> None:
    secrets.write(tmp_path, "load/key", "secret")
    assert found(tmp_path)["load/key"].verdict == "ok"
    secrets.file(tmp_path, "load/key").chmod(0o644)
    assert found(tmp_path)["load/key"].verdict == "not allowed"


def test_the_command_tells_all_and_fails_when_something_is_missing(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["verify"], env={"NIGHTFERRY_STATE": str(tmp_path)})
    assert answer.exit_code == 1
    assert "fineos-oauth2-client-secret missing" in answer.output
    machine = CliRunner().invoke(app, ["verify", "--json"], env={"NIGHTFERRY_STATE": str(tmp_path)})
    assert machine.exit_code == 1
    assert '"verdict": "missing"' in machine.output
