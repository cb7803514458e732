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
        ("machine.yaml", YAML.encode(), 0, "is a valid definition"),
        ("machine.yml", YAML.replace("Pass", "Pss").encode(), 1, "$.States.A.Type"),
        ("cut.yaml", b"StartAt: [A", 2, "is not YAML that JSON can express: line 1"),
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


PLACEHOLDERS = """{"StartAt": "A", "States": {
  "A": {"Type": "Task", "Resource": "${LoadFunctionArn}", "TimeoutSeconds": ${Timeout}, "HeartbeatSeconds": "${Beat}",
        "InputPath": "${Path}", "Parameters": {"x.$": "$.${Field}", "topic": "${topic:x}"}, "Next": "B"},
  "B": {"Type": "Map", "ItemReader": {"Resource": "arn:${AWS::Partition}:states:::s3:getObject", "Parameters": {}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "C",
        "States": {"C": {"Type": "Pass", "Comment": "${x} \\" ${y}", "QueryLanguage": "JSONata",
        "Output": "{% $states.input.${Field} %}", "End": true}}}, "End": true}}}"""


def test_placeholders_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "machine.asl.json"
    file.write_text(PLACEHOLDERS.replace('"${Beat}"', "0"))
    valid = nightferry(tmp_path, "states", "validate", str(file))
    file.write_text(PLACEHOLDERS.replace('"Next"', '"Nxt"').replace('"${Beat}"', "0"))
    wrong = nightferry(tmp_path, "states", "validate", str(file))

    assert valid.stdout.splitlines() == [
        "$.States.A.HeartbeatSeconds: HeartbeatSeconds must be a whole number from 1 to 99999999, not 0."
    ]
    assert any(line.startswith("$.States.A.Nxt: ") for line in wrong.stdout.splitlines())


def test_a_key_that_occurs_twice_is_found_beside_placeholders(tmp_path: Path) -> None:
    text = '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${F}", "End": true, "End": true}}}'
    (tmp_path / "m.json").write_text(text)

    ended = nightferry(tmp_path, "states", "validate", "m.json")

    assert ended.stdout.startswith("$.States.A.End: The key occurs twice.")


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


def task(**fields: object) -> dict[str, object]:
    return {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True, **fields}


RETRY = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 86_400, "MaxAttempts": 2}]


@pytest.mark.parametrize(
    ("results", "code", "words"),
    [
        ('{"A": [{"error": "Busy"}, {"value": 7}]}', 0, "7"),
        ('{"A": [{"error": "Fatal", "cause": "no disk"}]}', 1, "FAILED: Fatal\nno disk"),
        ('{"A": [{"error": "Busy"}]}', 2, "results.json: The state 'A' has 1 results and was started 2 times."),
        ("{", 2, "results.json is not JSON"),
    ],
)
def test_run_takes_the_results_of_tasks_from_a_file(tmp_path: Path, results: str, code: int, words: str) -> None:
    (tmp_path / "m.json").write_text(json.dumps({"StartAt": "A", "States": {"A": task(Retry=RETRY)}}))
    (tmp_path / "results.json").write_text(results)

    ended = nightferry(tmp_path, "states", "run", "m.json", "--results", "results.json")

    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)
    assert words in ended.stdout + ended.stderr


def test_definition_and_results_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "StartAt: A\nStates:\n  A:\n    Type: Task\n    Resource: ${Function}\n    Next: B\n"
        "  B:\n    Type: Wait\n    Seconds: 86400\n    End: true\n"
    )
    (tmp_path / "r.yaml").write_text("A:\n  value: {n: 1}\n")

    ended = nightferry(tmp_path, "states", "run", "m.yaml", "--results", "r.yaml")

    assert json.loads(ended.stdout) == {"n": 1}


def test_an_express_workflow_has_no_callbacks(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps({"StartAt": "A", "States": {"A": task()}}))

    ended = nightferry(tmp_path, "states", "validate", "m.json", "--type", "EXPRESS")

    assert ended.stdout.startswith("$.States.A.Resource: An Express execution cannot wait for a task")
