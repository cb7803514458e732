"""``nightferry states`` with valid and invalid files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.terminal import nightferry

GOOD = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
YAML = "StartAt: A\nStates:\n  A:\n    Type: Pass\n    End: true\n"


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("good.json", json.dumps(GOOD).encode(), 0, "is a valid definition"),
        ("bom.json", b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), 0, "is a valid definition"),
        ("cut.json", b'{"StartAt": "A"', 1, "not JSON: Expecting ',' delimiter: line 1"),
        ("list.json", b"[1]", 1, "a JSON object with StartAt and States"),
        ("empty.json", b"\n", 2, "is empty"),
        ("machine.yaml", YAML.encode(), 2, "is YAML"),
        ("binary.json", b"\xff\xfe\x00", 2, "not UTF-8 text"),
        ("huge.json", b" " * 2_000_000, 1, "exceeds 1048576 bytes"),
        ("huge-text.json", "ä".encode() * 1_000_000, 1, "exceeds 1048576 bytes"),
        ("deep.json", b"[" * 100_000, 1, "not JSON"),
    ],
)
def test_validate(tmp_path: Path, name: str, content: bytes, code: int, words: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)

    ended = nightferry(tmp_path, "states", "validate", str(file))

    assert ended.returncode == code
    assert words in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_validate_reports_every_error_as_text_and_json(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    states = {"A": {"Type": "Wait", "Seconds": -1, "Next": "B"}, "B": {"Type": "Pass", "Nxt": "A", "End": True}}
    file.write_text(json.dumps({"StartAt": "A", "States": states}))

    ended = nightferry(tmp_path, "states", "validate", str(file))
    machine = nightferry(tmp_path, "states", "validate", str(file), "--json")

    assert [line.partition(":")[0] for line in ended.stdout.splitlines()] == ["$.States.A.Seconds", "$.States.B.Nxt"]
    assert "Did you mean Next?" in ended.stdout
    assert [problem["path"] for problem in json.loads(machine.stdout)] == ["$.States.A.Seconds", "$.States.B.Nxt"]
    assert (ended.returncode, machine.returncode) == (1, 1)


@pytest.mark.parametrize("name", ["nowhere.json", "."])
def test_a_path_that_is_not_a_file_is_an_error(tmp_path: Path, name: str) -> None:
    ended = nightferry(tmp_path, "states", "run", name)

    assert ended.returncode == 2
    assert "does not exist" in ended.stderr or "is a directory" in ended.stderr


@pytest.mark.parametrize(
    ("input", "words"), [("{", "single quotes"), ("[" * 100_000, "not JSON"), ("NaN", "--input is not JSON: NaN")]
)
def test_an_invalid_input_is_an_error(tmp_path: Path, input: str, words: str) -> None:
    (tmp_path / "good.json").write_text(json.dumps(GOOD))

    ended = nightferry(tmp_path, "states", "run", "good.json", "--input", input)

    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_run_reports_a_resource_that_it_cannot_run(tmp_path: Path) -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True}
    (tmp_path / "task.json").write_text(json.dumps({"StartAt": "A", "States": {"A": task}}))

    ended = nightferry(tmp_path, "states", "run", "task.json")

    assert ended.returncode == 2
    assert "$.States.A.Resource: Resource 'arn:aws:states:::sqs:sendMessage' has no callable" in ended.stderr
