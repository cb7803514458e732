"""No text from outside controls the terminal or looks like a line of the command, in the output of any command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from tests.cli.terminal import nightferry, on_terminal

FORGED = "23:59:59 ERROR forged"
ATTACK = f"x\x1b]0;pwned\x07\x9b31m\u202egnp.exe\u2028\u200b\u2066\x08\x7f\n{FORGED}\r{FORGED}"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
OWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r(?=\n)|\r\x1b\[2K|\r")


@pytest.fixture
def attacked(root: Path) -> Path:
    """Return a project whose store has the attack in each text that others determine."""
    project = Project.find(root)
    store = LocalBackend(project, project.environment("local")).store
    store.add_run("ab12", "three", ["job", ATTACK], {"S3_BUCKET": "inbox", "S3_KEY": ATTACK}, started_by=ATTACK)
    message = {"time": "t", "level": "ERROR", "message": ATTACK, "field": ATTACK, "event": "failed"}
    bar = {**message, "event": "progress", "step": ATTACK, "done": ATTACK, "total": "y"}
    store.add_lines([("ab12", ATTACK), ("ab12", json.dumps(message)), ("ab12", json.dumps(bar))])
    store.mark_run_stopped("ab12", 1, "TaskFailedToStart", ATTACK)
    store.add_notification("n", "failures", ATTACK, ATTACK, None)
    return root


COMMANDS = [
    ["status"],
    ["status", "ab12"],
    ["logs", "ab12"],
    ["logs", "ab12", "--level", "ERROR"],
    ["notifications"],
    ["tasks", "--env", "local"],
    ["redrive", "ab12", "--dry-run"],
    ["status", ATTACK],
    ["run", ATTACK],
    ["run", "hello", "-e", f"{ATTACK}=1"],
    ["run", "hello", f"--{ATTACK}"],
    ["start", "marks", "--input", ATTACK],
    ["states", "validate", ATTACK],
    [ATTACK],
]


def check(output: str) -> None:
    found = CONTROL.search(OWN.sub("", output))
    assert found is None, ascii(output[max(0, found.start() - 40) :][:80])
    lines = [OWN.sub("", line) for line in output.splitlines()]
    assert [line for line in lines if line.startswith(FORGED)] == []


@pytest.mark.parametrize(
    "arguments", COMMANDS, ids=lambda arguments: " ".join(arguments)[:20].encode("ascii", "replace")
)
def test_no_output_in_a_pipe_has_control_characters(attacked: Path, arguments: list[str]) -> None:
    ended = nightferry(attacked, *arguments)
    assert "\x1b" not in ended.stdout + ended.stderr
    check(ended.stdout)
    check(ended.stderr)
    assert ended.stdout + ended.stderr


@pytest.mark.sampled(6)
@pytest.mark.parametrize("arguments", COMMANDS[:6], ids=" ".join)
def test_no_output_on_a_terminal_has_control_characters_of_others(attacked: Path, arguments: list[str]) -> None:
    check(on_terminal(attacked, *arguments)[1])


@pytest.mark.parametrize("arguments", [["status", "--json"], ["status", "ab12", "--json"]])
def test_json_has_the_same_values_without_control_characters(attacked: Path, arguments: list[str]) -> None:
    output = nightferry(attacked, *arguments).stdout
    assert CONTROL.search(output) is None
    assert ATTACK in list_texts(json.loads(output))


def list_texts(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [text for item in items for text in list_texts(item)]
    return [value] if isinstance(value, str) else []
