"""The tools for a developer's machine: doctor, services, env and secrets."""

from __future__ import annotations

import io
import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from dotenv import dotenv_values
from moto import mock_aws

from nightferry.backend.verify.findings import Finding
from nightferry.cli.app import main
from nightferry.cli.develop.quoting import quote
from nightferry.local import doctor
from nightferry.local.services import data_folders, secrets
from tests.aws.project import make_aws_project
from tests.cli.terminal import environment, in_process, nightferry

VALUE = 'correct horse\'s $battery\n"staple"'
KEYS = {"AWS_ACCESS_KEY_ID": "fake", "AWS_SECRET_ACCESS_KEY": "fake"}
MORE = """
from nightferry import PostgresService
catalog.service(PostgresService("database", database="orders"))
token = Secret("web-token")
catalog.service(CommandService("web", command=["no-such-program"], ready="/ready", secrets={"TOKEN": token}))
path = catalog.bucket("out") / "it's $HOME"
key = Secret("load/key")
catalog.task("load", config=Settings, command=["sh"], env={"OUT": path}, secrets={"PASSWORD": key})
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_aws_project(tmp_path / "toy")
    module = next(root.glob("toy_*.py"))
    module.write_text(module.read_text() + MORE)
    monkeypatch.setattr(data_folders, "ROOT_FOLDER", tmp_path / "databases")
    return root


def with_input(root: Path, text: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``nightferry`` with text on its standard input."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogateescape"))))
        return in_process(main, root, environment() | more, *arguments)


def test_a_secret_is_stored_privately_listed_and_never_printed(root: Path) -> None:
    listed = nightferry(root, "secrets", "list")
    assert listed.returncode == 1
    assert [line.split("\t")[:3] for line in listed.stdout.splitlines()] == [
        ["load/key", "missing", "load"],
        ["web-token", "missing", "service web"],
    ]
    for name in ("load/key", "web-token"):
        stored = with_input(root, f"{VALUE}\r\n", "secrets", "set", name)
        assert (stored.returncode, stored.stdout) == (0, "")
        assert "battery" not in stored.stderr
    state = root / ".nightferry"
    assert secrets.get_path(state, "load/key").read_text() == VALUE
    assert stat.S_IMODE(secrets.get_path(state, "load/key").stat().st_mode) == 0o600
    listed = nightferry(root, "secrets", "list", "--json")
    assert listed.returncode == 0
    assert [(one["name"], one["set"]) for one in json.loads(listed.stdout)] == [("load/key", True), ("web-token", True)]
    assert "battery" not in listed.stdout


@pytest.mark.parametrize(
    ("text", "arguments", "problem"),
    [
        ("\n", ["load/key"], "The value of load/key is empty"),
        ("\udcff", ["load/key"], "The value of load/key is not UTF-8 text"),
        ("a" * 100_001, ["load/key"], "The value of load/key has more than 100,000 bytes"),
        ("a\0b", ["load/key"], "The value of load/key contains a NUL character"),
        ("x", ["load/keys"], "Secret 'load/keys' not found. Did you mean load/key?"),
        ("x", ["load/key", "hunter2"], "A value must not be an argument"),
        ("x", ["load/key", "--value=hunter2"], "A value must not be an argument"),
    ],
)
def test_a_value_that_cannot_be_a_secret_is_refused(root: Path, text: str, arguments: list[str], problem: str) -> None:
    refused = with_input(root, text, "secrets", "set", *arguments)
    assert refused.returncode == 2
    assert problem in refused.stderr
    assert "hunter2" not in refused.stderr
    assert not (root / ".nightferry" / "secrets").exists()


def test_on_aws_a_secret_is_a_parameter_and_the_variables_are_those_of_the_container(root: Path) -> None:
    with mock_aws():
        assert with_input(root, "", "secrets", "list", "--env", "test", **KEYS).returncode == 1
        for version in (1, 2):
            stored = with_input(root, f"{VALUE}\n", "secrets", "set", "load/key", "--env", "test", **KEYS)
            assert stored.stderr == f"Stored version {version} of /service/toy/test/load/key.\n"
        listed = with_input(root, "", "secrets", "list", "--env", "test", **KEYS)
        assert (listed.returncode, listed.stdout) == (0, "load/key\tset\tload\t/service/toy/test/load/key\n")
        stored = boto3.client("ssm", "us-east-1").get_parameter(Name="/service/toy/test/load/key")["Parameter"]
        assert (stored["Type"], stored["Value"]) == ("SecureString", f"kms:alias/aws/ssm:{VALUE}")  # moto's encryption
    shown = nightferry(root, "env", "load", "--env", "test")
    assert "PASSWORD_SSM_PATH='/service/toy/test/load/key'" in shown.stdout.splitlines()
    assert "OUT=\"s3://example-test-out/it's" not in shown.stdout  # "$" in double quotes would be replaced
    assert "OUT='s3://example-test-out/it'\"'\"'s $HOME'" in shown.stdout.splitlines()
    assert "ENVIRONMENT='test'" in shown.stdout.splitlines()
    refused = nightferry(root, "env", "load", "--env", "test", "--show-secrets", "--output", "x.env")
    assert (refused.returncode, (root / "x.env").exists()) == (2, False)


def test_the_variables_of_a_task_are_those_of_its_process(root: Path) -> None:
    secrets.write(root / ".nightferry", "load/key", VALUE)
    shown = nightferry(root, "env", "load", "--json")
    printed = json.loads(shown.stdout)
    assert printed["variables"]["OUT"].startswith("file://")
    assert "NIGHTFERRY_TIME_LIMIT" not in printed["variables"]
    assert printed["secrets"] == {"PASSWORD": {"name": "load/key", "set": True}}
    lines = nightferry(root, "env", "load").stdout
    assert "# PASSWORD: secret load/key" in lines.splitlines()
    assert "battery" not in shown.stdout + lines
    refused = nightferry(root, "env", "load", "--show-secrets")
    assert (refused.returncode, "--output .nightferry/load.env" in refused.stderr) == (2, True)
    file = root / ".nightferry" / "load.env"
    file.touch(0o644)
    assert nightferry(root, "env", "load", "--show-secrets", "--output", str(file)).returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    read = subprocess.run(
        ["sh", "-c", f'set -a; . {shlex.quote(str(file))}; printf %s "$PASSWORD"'], capture_output=True, check=True
    )
    assert read.stdout.decode() == VALUE
    unknown = nightferry(root, "env", "loads")
    assert (unknown.returncode, "Did you mean load?" in unknown.stderr) == (2, True)


@pytest.mark.parametrize(
    ("value", "for_dotenv"),
    [
        ("", True),
        ("plain", True),
        ('two words "quoted" $HOME `date` # no comment', True),
        ("a\nb\n", True),
        ("it's", True),
        ("back\\slash", True),
        ("two\\\\", False),
        ("end\\", False),
        ("${HOME}", False),
        ("it's ${HOME}", False),
        ('it\'s "$HOME" \\', False),
        ("carriage\rreturn", False),
    ],
)
def test_a_shell_and_dotenv_read_the_value(value: str, for_dotenv: bool) -> None:
    quoted, works = quote(value)
    assert works is for_dotenv
    shell = subprocess.run(["sh", "-c", f'X={quoted}; printf %s "$X"'], capture_output=True, check=True, text=False)
    assert shell.stdout.decode() == value
    if for_dotenv:
        assert dotenv_values(stream=io.StringIO(f"X={quoted}\nY='1'\n")) == {"X": value, "Y": "1"}


def test_services_are_listed_and_not_started(root: Path) -> None:
    printed = nightferry(root, "services", "--json").stdout
    database, web = json.loads(printed)
    assert (database["name"], database["kind"], database["running"]) == ("database", "postgres", False)
    program, conninfo = shlex.split(database["connect"])
    assert program.endswith("psql")
    assert conninfo == f"host={database['addresses']['host']} port=5432 user=postgres dbname=orders"
    assert web["addresses"]["url"] == f"http://127.0.0.1:{web['addresses']['port']}"
    lines = nightferry(root, "services")
    assert lines.stdout.splitlines()[1] == f"web\tcommand\tstopped\t{web['addresses']['url']}\t"
    assert "nightferry up" in lines.stderr
    refused = nightferry(root, "services", "--env", "test")
    assert (refused.returncode, "runs no services" in refused.stderr) == (2, True)


def test_git_adds_nothing_of_the_state_directory(root: Path) -> None:
    subprocess.run(["git", "init", "-q", root], check=True)
    secrets.write(root / ".nightferry", "load/key", VALUE)
    nightferry(root, "status")
    added = subprocess.run(["git", "add", "-A", "-n"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert "environments/local.toml" in added
    assert ".nightferry" not in added


def examine(root: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in doctor.examine(root)}


def test_the_doctor_finds_what_is_missing_with_its_fix(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (root / "pyproject.toml").read_text()
    state = root / ".nightferry"
    secrets.write(state, "web-token", VALUE)
    found = examine(root)
    expected = {str(root): "ok", "local": "ok", "test": "ok", "nightferry[postgres]": "ok", "nightferry[aws]": "ok"}
    assert {name: found[name].verdict for name in expected} == expected
    assert found["load/key"].detail == "Required by load. Store it: nightferry secrets set load/key"
    assert (found["web-token"].verdict, found["state directory"].verdict) == ("ok", "ok")
    ended = nightferry(root, "doctor")
    assert (ended.returncode, "✗ load/key missing" in ended.stdout) == (1, True)

    (root / "environments" / "test.toml").write_text('backend = "aws"\n')
    (root / "environments" / "local.toml").rename(root / "environments" / "here.toml")
    (root / "pyproject.toml").write_text(text + '[project]\nrequires-python = ">=3.99"\n')
    os.utime(root / "pyproject.toml", (0, 2**32))
    state.chmod(0o755)
    subprocess.run(["git", "init", "-q", root], check=True)
    subprocess.run(["git", "-C", root, "add", "-f", ".nightferry"], check=True)
    monkeypatch.setattr(sys, "path", list(sys.path))
    found = examine(root)
    fixes = {
        "test": "setting 'color' is missing",
        "local": "nightferry new-environment local",
        "clock": "Set the clock",
        "state directory": "chmod 700",
        "Git": "git rm -r --cached",
        sys.version.partition(" ")[0]: "requires >=3.99",
    }
    for name, fix in fixes.items():
        assert found[name].is_failure
        assert fix in found[name].detail
    (root / "pyproject.toml").write_text("[tool.nightferry]\ncatalog = 'no_such_module'\n")
    (problem,) = doctor.examine(root)
    assert (problem.verdict, "no_such_module" in problem.detail) == ("missing", True)
    ended = nightferry(root, "doctor", "--json")
    assert (ended.returncode, json.loads(ended.stdout)[0]["verdict"]) == (1, "missing")


def test_a_missing_secret_is_found_before_a_start_is_recorded(root: Path) -> None:
    module = next(root.glob("toy_*.py"))
    more = """
load = catalog.tasks["load"]
catalog.workflow("loads", Steps(RunTask(hello), RunTask(load)))
catalog.schedule("load-daily", load, "cron(0 5 * * ? *)")
catalog.schedule("loads-daily", catalog.workflows["loads"], "cron(0 5 * * ? *)")
"""
    module.write_text(module.read_text() + more)
    message = (
        "nightferry: Task 'load' requires the secret 'load/key' (PASSWORD), which this machine does not have. "
        "Store it: nightferry secrets set load/key\n"
    )
    period = ("--from", "2026-01-01", "--to", "2026-01-02")
    for command in (
        ("run", "load"),
        ("run", "load", "--dry-run"),
        ("run", "load", "--detach"),
        ("start", "loads"),
        ("backfill", "load-daily", *period),
        ("backfill", "loads-daily", *period),
    ):
        ended = nightferry(root, *command)
        assert (ended.returncode, ended.stderr) == (2, message), command
    recorded = json.loads(nightferry(root, "status", "--json").stdout)
    assert (recorded["executions"], recorded["runs"]) == ([], [])
    with_input(root, "secret", "secrets", "set", "load/key")
    assert nightferry(root, "run", "load", "--dry-run").returncode == 0


def test_env_names_the_variables_that_each_start_must_supply(root: Path) -> None:
    module = next(root.glob("toy_*.py"))
    more = 'catalog.task("dated", command=["sh"], env={"OUT": "x"}, required_at_start=["DAY", "OUT_DAY"])\n'
    module.write_text(module.read_text() + more)
    lines = nightferry(root, "env", "dated").stdout.splitlines()
    assert lines[-2:] == ["# DAY: required at each start", "# OUT_DAY: required at each start"]
    assert json.loads(nightferry(root, "env", "dated", "--json").stdout)["required_at_start"] == ["DAY", "OUT_DAY"]


def test_doctor_names_the_webhooks_of_notices(root: Path) -> None:
    file = root / "environments" / "local.toml"
    file.write_text(file.read_text() + '\n[notices.failures]\nslack = "notices/slack"\n')
    with_input(root, "secret", "secrets", "set", "load/key")
    found = {one["name"]: one for one in json.loads(nightferry(root, "doctor", "--json").stdout)}
    assert found["notices/slack"]["verdict"] == "ok"
    assert found["notices/slack"]["detail"].startswith("optional, not set. Used by notices of failures to Slack. Store")
    with_input(root, "https://hooks.example.org/x", "secrets", "set", "notices/slack")
    found = {one["name"]: one for one in json.loads(nightferry(root, "doctor", "--json").stdout)}
    assert found["notices/slack"]["detail"] == ""
