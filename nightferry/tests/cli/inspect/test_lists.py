"""The lists of declarations, and Amazon States Language from files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import nightferry, on_terminal
from tests.local.toy import ENVIRONMENT

HEAVY = {
    "asyncio",
    "boto3",
    "httpx",
    "polars",
    "psycopg",
    "pydantic",
    "sqlalchemy",
    "sqlite3",
    "nightferry.states.language.parser",
}


def test_the_command_line_imports_no_package_that_only_some_verbs_need(root: Path) -> None:
    code = "import sys, nightferry.cli; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert HEAVY & set(loaded.stdout.split()) == set()


def test_help_lists_every_verb(root: Path) -> None:
    text = nightferry(root, "--help").stdout
    for verb in ("run", "start", "stop", "status", "logs", "tasks", "workflows", "schedules", "triggers", "next"):
        assert f" {verb} " in text


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("verb", "names"),
    [
        (
            "tasks",
            ["hello", "three", "mark", "slow", "stubborn", "greedy", "chatty", "missing", "flaky", "again", "late"],
        ),
        ("workflows", ["marks", "queued", "replaced", "retried", "once", "resumed", "fails", "stays"]),
        ("schedules", []),
        ("triggers", []),
    ],
)
def test_declarations_as_json_in_pipes_and_on_terminals(root: Path, verb: str, names: list[str]) -> None:
    assert [item["name"] for item in json.loads(nightferry(root, verb, "--json").stdout)] == names
    piped = nightferry(root, verb).stdout
    assert [line.split("\t")[0] for line in piped.splitlines()] == (names or ["None declared."])
    code, drawn = on_terminal(root, verb)
    assert code == 0
    assert all(name in drawn for name in names)


SCHEDULES = """
catalog.schedule("nightly", catalog.workflows["fails"], catalog.setting("when", default="cron(30 20 * * ? *)"),
                 timezone="America/New_York", enabled=catalog.setting("switched_on", default=True))
"""


@pytest.mark.parametrize(("env", "when"), [("local", "cron(30 20 * * ? *)"), ("often", "cron(5 * * * ? *)")])
def test_schedules_are_listed_with_the_settings_of_an_environment(root: Path, env: str, when: str) -> None:
    module = next(root.glob("toy_*.py"))
    module.write_text(module.read_text() + SCHEDULES)
    (root / "environments" / "often.toml").write_text(f'{ENVIRONMENT}when = "cron(5 * * * ? *)"\n')
    piped = nightferry(root, "schedules", "--env", env).stdout
    assert f"nightly\tworkflow fails\t{when}\tAmerica/New_York\ttrue\t" in piped
    words = {"local": "every day at 20:30 America/New_York", "often": "at minute 5 of every hour in America/New_York"}
    assert piped.rstrip().endswith(words[env])
    (listed,) = json.loads(nightferry(root, "schedules", "--env", env, "--json").stdout)
    assert (listed["words"], listed["expression"]) == (words[env], when)
    assert "${" not in piped


def test_states_run_and_validate(root: Path) -> None:
    good, bad = root / "good.json", root / "bad.json"
    states = {
        "A": {"Type": "Wait", "Seconds": 3600, "Next": "B"},
        "B": {"Type": "Pass", "OutputPath": "$.x", "End": True},
    }
    good.write_text(json.dumps({"StartAt": "A", "States": states}))
    ended = nightferry(root, "states", "run", str(good), "--input", '{"x": [1, 2]}')
    assert (ended.returncode, json.loads(ended.stdout)) == (0, [1, 2])
    assert "valid" in nightferry(root, "states", "validate", str(good)).stdout
    failed = nightferry(root, "states", "run", str(good))
    assert failed.returncode == 1
    assert "States.Runtime" in failed.stderr
    bad.write_text(json.dumps({"StartAt": "Z", "States": states}))
    refused = nightferry(root, "states", "validate", str(bad))
    assert refused.returncode == 1
    assert "$.StartAt" in refused.stdout
