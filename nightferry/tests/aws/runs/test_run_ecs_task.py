"""``run-ecs-task`` as a process: starting, watching, exit codes and errors."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.backend.runs import RunRequest
from nightferry.cli.inspect.status import format_run_status
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript
from tests.aws.processes import Terminal, run, start
from tests.aws.wire import Wire
from tests.chaos.engines import until

pytestmark = pytest.mark.sampled(8)

ENDED = '{"time": "t", "level": "INFO", "message": "ended", "event": "ended", "exit_code": 0}'
PROGRAM = "run-ecs-task"


def test_all_lines_are_printed_in_order_and_the_exit_code_is_the_containers(root: Path, aws: FakeFargate) -> None:
    lines = [
        ScriptedLine(0.1, "one"),
        ScriptedLine(0.2, "two"),
        ScriptedLine(0.2, "two"),
        ScriptedLine(0.5, "three", seen=1.6),
        ScriptedLine(0.55, ENDED, 2),
    ]
    aws.script("three", TaskScript(lines=lines, exit_code=3))
    ended = run(root, aws.variables, PROGRAM, "test", "three", "Jane Doe", "sh", "-c", "exit 3", "--x=1")
    assert ended.stdout.splitlines() == ["one", "two", "two", "three", ENDED]
    assert ended.returncode == 3
    [id] = aws.run_ids("three")
    assert re.search(r"^three: STOPPED after .* \(run \w+\)$", ended.stderr, re.MULTILINE)
    assert re.search(rf"^three ended with exit code 3 after .* \(run {id}\)$", ended.stderr, re.MULTILINE)
    assert f"tasks/{id}" in ended.stderr
    model = aws.model(id)
    assert model.started_by == "Jane-Doe"
    [container] = model.overrides["containerOverrides"]
    [variable] = container.pop("environment")
    assert container == {"name": "three", "command": ["sh", "-c", "exit 3", "--x=1"]}
    assert variable["name"] == "NIGHTFERRY_START_ID"


def test_a_dry_run_prints_the_request_and_starts_nothing(root: Path, aws: FakeFargate) -> None:
    call = ["test", "hello", "jane", "--dry-run", "-e", "COLOR=red", "--cpu=512", "--memory", "2048", "env"]
    ended = run(root, aws.variables, PROGRAM, *call)
    request = json.loads(ended.stdout)
    container = {"name": "hello", "command": ["env"], "environment": [{"name": "COLOR", "value": "red"}]}
    assert request["overrides"] == {"containerOverrides": [container], "cpu": "512", "memory": "2048"}
    assert request["taskDefinition"] == "toy-test-hello"
    assert request["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-0a1b2c3d4e5f60a01"]
    assert aws.calls == ["GetParameter"]


def test_in_ci_the_author_is_omitted(root: Path, aws: FakeFargate) -> None:
    ended = run(root, {**aws.variables, "CI": "true"}, PROGRAM, "test", "hello", "--dry-run", "env", "-u", "X")
    request = json.loads(ended.stdout)
    assert request["startedBy"] == "ci"
    assert request["overrides"]["containerOverrides"][0]["command"] == ["env", "-u", "X"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["test", "helo", "jane"], "Task 'helo' not found. Did you mean hello?"),
        (["prod", "hello", "jane"], "Environment 'prod' not found"),
        (["local", "hello", "jane"], "Environment 'local' is not on AWS. Use: nightferry run hello"),
        (["test", "hello"], "AUTHOR is missing"),
        (["test", "hello", "jane@example.com"], "AUTHOR is an email address"),
        (["test", "hello", "hello"], "AUTHOR 'hello' is not the name of a person"),
        (["test"], "TASK is missing"),
        (["test", "hello", "jane", "-e", "COLR=x"], "COLR is not a setting of task 'hello'"),
        (["test", "hello", "jane", "--cpu", "3"], "Fargate does not offer 3 CPU units"),
        (["test", "hello", "jane", "echo", "x" * 8300], "need 8,463 characters of overrides; ECS allows 8,192"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_usage_error_is_reported_before_anything_starts(
    root: Path, aws: FakeFargate, call: list[str], message: str
) -> None:
    ended = run(root, aws.variables, PROGRAM, *call)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert "RunTask" not in aws.calls


IMAGE = "CannotPullContainerError: pull image manifest has been retried 1 time(s): not found"
SECRET = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable "
    "to retrieve secrets from ssm: invalid ssm parameters: /service/x"
)
NETWORK = (
    "ResourceInitializationError: unable to pull secrets or registry auth: RequestError: send request failed caused "
    "by: Post https://api.ecr: dial tcp 10.0.0.1:443: i/o timeout"
)
ROLE = "ECS was unable to assume the role 'arn:aws:iam::1:role/x'"
CAPACITY = "Capacity is unavailable at this time."


def test_a_task_that_never_starts_reports_the_reason_and_checks(root: Path, aws: FakeFargate) -> None:
    aws.script("hello", TaskScript(fails=IMAGE))
    ended = run(root, aws.variables, PROGRAM, "test", "hello", "jane")
    assert ended.returncode == 125
    assert f"hello did not start. {IMAGE}." in ended.stderr
    assert "ECS could not pull the image." in ended.stderr


def test_a_retired_host_is_a_failure_that_nothing_repeats(root: Path, aws: FakeFargate) -> None:
    """The container may exit with 0 when it receives SIGTERM, although its work is incomplete."""
    aws.script("hello", TaskScript(exit_code=0, stop_code="TerminationNotice"))
    ended = run(root, aws.variables, PROGRAM, "test", "hello", "jane")
    assert ended.returncode == 143
    assert "The task's host ended the task" in ended.stderr
    assert "ECS does not start the task again." in ended.stderr
    [id] = aws.run_ids("hello")
    status = run(root, aws.variables, "nightferry", "status", id, "--env", "test")
    assert "exit code 143" in status.stdout
    assert "ECS does not start the task again." in status.stdout


MEMORY = "OutOfMemoryError: Container killed due to memory usage"


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (TaskScript(exit_code=0, container_reason=MEMORY), "The container exceeded its memory."),
        (TaskScript(exit_code=137, container_reason=MEMORY), "The container exceeded its memory."),
        (TaskScript(exit_code=1, stop_code="InfrastructureHealth"), "The task's host ended the task"),
        (TaskScript(exit_code=1, stop_code="SomethingNew"), "The task's host ended the task"),
        (TaskScript(exit_code=1), None),
        (TaskScript(exit_code=143), None),
        (TaskScript(exit_code=0), None),
    ],
)
def test_only_an_end_by_aws_has_a_cause(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, script: TaskScript, cause: str | None
) -> None:
    fargate.script("hello", script)
    id = backend.run_task(RunRequest("hello"))
    clock.sleep(5)
    run = backend.run(id)
    assert run.succeeded == (cause is None and script.exit_code == 0)
    found = backend.troubleshooting(run)
    assert found == [] if cause is None else found[0].startswith(cause)


def test_a_stop_by_a_person_is_not_a_failure(backend: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> None:
    fargate.script("slow", TaskScript(stopped=None))
    id = backend.run_task(RunRequest("slow"))
    clock.sleep(5)
    backend.stop(id, "by hand")
    clock.sleep(5)
    run = backend.run(id)
    assert (run.exit_code, run.stopped_by_user, backend.troubleshooting(run)) == (143, True, [])
    assert format_run_status(run) == ("stopped, exit code 143", "yellow")


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (IMAGE, "ECS could not pull the image."),
        (SECRET, "ECS could not read a secret."),
        (NETWORK, "The task's network interface failed, or has no route to AWS."),
        (ROLE, "ECS could not assume the task's role."),
        (CAPACITY, "Fargate had no capacity."),
        ("Something new", "ECS gave no other reason."),
    ],
)
def test_every_reason_has_its_cause(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, reason: str, cause: str
) -> None:
    fargate.script("hello", TaskScript(fails=reason))
    id = backend.run_task(RunRequest("hello"))
    clock.sleep(5)
    run = backend.run(id)
    assert (run.status, run.exit_code, run.stop_code) == ("STOPPED", None, "TaskFailedToStart")
    assert backend.troubleshooting(run)[0] == cause


@pytest.mark.parametrize(
    ("code", "exit_code", "message"),
    [
        ("AccessDeniedException", 126, "Cannot start toy-test-hello: AWS returned AccessDeniedException"),
        ("ClusterNotFoundException", 126, "ClusterNotFoundException"),
        ("ExpiredTokenException", 126, "The AWS credentials have expired (ExpiredTokenException)"),
    ],
)
def test_a_call_that_aws_refuses_exits_with_126(
    root: Path, aws: FakeFargate, code: str, exit_code: int, message: str
) -> None:
    aws.inject_errors("RunTask", code, times=99)
    ended = run(root, aws.variables, PROGRAM, "test", "hello", "jane")
    assert ended.returncode == exit_code
    assert message in ended.stderr


def test_an_environment_that_is_not_deployed_is_an_error(root: Path, aws: FakeFargate) -> None:
    aws.inject_errors("GetParameter", "ParameterNotFound")
    ended = run(root, aws.variables, PROGRAM, "test", "hello", "jane")
    assert ended.returncode == 126
    assert "Parameter /service/toy/test/ecs-tasks/network does not exist in account 123456789012" in ended.stderr


def test_transient_failures_and_throttling_are_retried_and_other_failures_are_not(root: Path, aws: FakeFargate) -> None:
    aws.script(
        "hello", TaskScript(refused="Capacity is unavailable at this time. Please try again later"), TaskScript()
    )
    aws.inject_errors("RunTask", "ThrottlingException", times=2)
    ended = run(root, aws.variables, PROGRAM, "test", "hello", "jane")
    assert ended.returncode == 0
    assert "ECS has no capacity" in ended.stderr
    assert len(aws.run_ids("hello")) == 1
    aws.script("three", TaskScript(refused="MemberOf placement constraint unsatisfied"))
    ended = run(root, aws.variables, PROGRAM, "test", "three", "jane")
    assert ended.returncode == 126
    assert "MemberOf placement constraint unsatisfied" in ended.stderr


def test_a_crash_before_the_response_neither_loses_nor_repeats_the_task(root: Path, aws: FakeFargate) -> None:
    aws.script("hello", TaskScript(stopped=5, lines=[ScriptedLine(0.1, "here")]), TaskScript())
    aws.hold_responses("RunTask")  # the call is executed, but no response arrives
    with start(root, aws.variables, PROGRAM, "test", "hello", "jane", "true") as process:
        until(lambda: bool(aws.run_ids("hello")), "ECS has started the task")
        process.kill()
        process.communicate()
    aws.release_responses()
    ended = run(root, aws.variables, PROGRAM, "test", "hello", "jane", "true")
    assert (ended.returncode, ended.stdout) == (0, "here\n")
    assert "An earlier, identical call got no response" in ended.stderr
    assert len(aws.run_ids("hello")) == 1
    again = run(root, aws.variables, PROGRAM, "test", "hello", "jane", "true")
    assert again.returncode == 0
    assert len(aws.run_ids("hello")) == 2


@pytest.mark.long
def test_ctrl_c_can_stop_the_task(root: Path, aws: FakeFargate) -> None:
    aws.script("slow", TaskScript(stopped=None, lines=[ScriptedLine(0.5, "working")]))
    terminal = Terminal(root, aws.variables, PROGRAM, "test", "slow", "jane")
    terminal.until("working")
    terminal.type("\x03")
    terminal.until("[s]top the task")
    terminal.type("s\n")
    assert terminal.end() == 143
    assert "Requested the stop of the task" in terminal.seen
    assert aws.model(aws.run_ids("slow")[0]).stopped_reason.startswith("Stopped from the terminal. (by ")


def test_ctrl_c_can_leave_the_task_running_and_attach_follows_it(root: Path, aws: FakeFargate) -> None:
    aws.script("slow", TaskScript(stopped=None, lines=[ScriptedLine(0.5, "working")]))
    terminal = Terminal(root, aws.variables, PROGRAM, "test", "slow", "jane")
    terminal.until("working")
    terminal.type("\x03")
    terminal.until("[s]top the task")
    terminal.type("w\n")
    terminal.until("RUNNING")
    terminal.type("\x03")
    terminal.until("[s]top the task")
    terminal.type("l\n")
    assert terminal.end() == 130
    [id] = aws.run_ids("slow")
    assert f"nightferry logs {id} --follow --env test" in " ".join(terminal.seen.split())
    assert aws.model(id).desired_status == "RUNNING"
    aws.finish(id, 7)
    attached = run(root, aws.variables, PROGRAM, "test", "--attach", id[:8])
    assert (attached.returncode, attached.stdout) == (7, "working\n")


def test_in_a_pipe_an_interrupt_leaves_the_task_running(root: Path, aws: FakeFargate) -> None:
    aws.script("slow", TaskScript(stopped=None, lines=[ScriptedLine(0.5, "working")]))
    with start(root, aws.variables, PROGRAM, "test", "slow", "jane") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the task continues" in err
    assert aws.model(aws.run_ids("slow")[0]).desired_status == "RUNNING"


@pytest.mark.long
def test_expired_credentials_in_variables_stop_watching_with_a_command_to_resume(root: Path, aws: FakeFargate) -> None:
    aws.script("slow", TaskScript(stopped=None, lines=[ScriptedLine(0.5, "working")]))
    with start(root, aws.variables, PROGRAM, "test", "slow", "jane") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        aws.inject_errors("*", "ExpiredTokenException", times=999)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "The AWS credentials have expired" in err
    assert f"nightferry logs {aws.run_ids('slow')[0]} --follow --env test" in err


def test_renewed_credentials_are_loaded_and_no_line_is_lost(root: Path, aws: FakeFargate, tmp_path: Path) -> None:
    keys = tmp_path / "credentials"
    keys.write_text("[default]\naws_access_key_id = old\naws_secret_access_key = old\n")
    variables = {"AWS_ENDPOINT_URL": aws.url, "AWS_SHARED_CREDENTIALS_FILE": str(keys)}
    aws.accept_only("new", "old")
    aws.script("slow", TaskScript(stopped=None, lines=[ScriptedLine(0.1, "one")]))
    with start(root, variables, PROGRAM, "test", "slow", "jane") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "one\n"
        aws.accept_only("new")
        [id] = aws.run_ids("slow")
        aws.write_line(id, "two")
        until(lambda: "Retrying" in process.stderr.readline(), "the error is reported")
        keys.write_text("[default]\naws_access_key_id = new\naws_secret_access_key = new\n")
        aws.write_line(id, "three")
        aws.finish(id, 0)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == "two\nthree\n"
    assert "Connected again" in err


def test_watching_continues_after_a_network_failure(root: Path, aws: FakeFargate, wire: Wire) -> None:
    aws.script("slow", TaskScript(stopped=None, lines=[ScriptedLine(0.1, "one")]))
    variables = {**aws.variables, "AWS_ENDPOINT_URL": wire.url}
    with start(root, variables, PROGRAM, "test", "slow", "jane") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "one\n"
        wire.cut()
        [id] = aws.run_ids("slow")
        aws.write_line(id, "two")
        until(lambda: "AWS is unreachable" in process.stderr.readline(), "the error is reported")
        wire.restore()
        aws.finish(id, 4)
        out, _ = process.communicate(timeout=100)
    assert (process.returncode, out) == (4, "two\n")
