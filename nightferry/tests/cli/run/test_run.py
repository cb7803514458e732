"""``nightferry run``, ``logs``, ``status`` and ``stop`` for a task, in one terminal and in several."""

from __future__ import annotations

import getpass
import json
import signal
from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from tests.chaos.engines import until
from tests.cli.terminal import nightferry, nightferry_process, on_terminal, start

PROGRESS = "".join(
    f'echo \'{{"time": "t", "level": "INFO", "message": "progress", "event": "progress", "step": "reading", '
    f'"done": {done}, "total": 4000, "unit": "lines"}}\'; sleep 0.4; '
    for done in (1000, 4000)
)


def open_backend(root: Path) -> LocalBackend:
    project = Project.find(root)
    return LocalBackend(project, project.environment("local"))


def test_run_exits_with_the_tasks_code_and_prints_its_lines_unchanged(root: Path) -> None:
    ended = nightferry(root, "run", "three")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "leaving\n", "")
    again = nightferry(root, "logs", "three")
    assert again.stdout == "leaving\n"
    [run] = json.loads(nightferry(root, "status", "three", "--json").stdout)["runs"]
    assert (run["exit_code"], run["status"]) == (3, "STOPPED")
    assert "exit code 3" in nightferry(root, "status", run["id"][:8]).stdout
    kind, id, task, status, _started, _took = nightferry(root, "status").stdout.rstrip("\n").split("\t")
    assert (kind, id, task, status) == ("run", run["id"], "three", "exit code 3")


def test_a_pipe_gets_lines_byte_for_byte(root: Path) -> None:
    ended = nightferry(root, "run", "hello", "--", "printf", r"a\tb  [red]c[/red] {}\n")
    assert ended.stdout == "a\tb  [red]c[/red] {}\n"
    assert nightferry(root, "logs", "hello").stdout == ended.stdout


def test_variables_and_command_are_passed_to_the_task(root: Path) -> None:
    ended = nightferry(
        root, "run", "hello", "-e", "COLOR=a=b", "--", "sh", "-c", 'echo "$COLOR $1 $2"', "sh", "-x", "y"
    )
    assert (ended.returncode, ended.stdout) == (0, "a=b -x y\n")


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "helo"], 2, "nightferry: Task 'helo' not found. Did you mean hello?"),
        (["run", "missing"], 125, "no-such-program: No such file or directory"),
        (["run", "hello", "-e", "COLOR"], 2, "Use the form NAME=VALUE"),
        (["run", "hello", "-e", "COLR=red"], 2, "COLR is not a setting of task 'hello'. Did you mean COLOR?"),
        (["run", "hello", "-e", "color=red"], 2, "Did you mean COLOR?"),
        (["run", "hello", "-e", "ZZZ=1"], 2, "It has COLOR, COUNT, OUT, PASSWORD."),
        (["run", "hello", "-e", "COUNT=many"], 2, "COUNT=many: Input should be a valid integer"),
        (
            ["run", "hello", "-e", "NIGHTFERRY_PRIVACY=secrets-only"],
            2,
            "no start may change",
        ),
        (["run", "hello", "-e", "NIGHTFERRY_SECRETS="], 2, "no start may change"),
        (["run", "hello", "--cpu", "3"], 2, "Fargate does not offer 3 CPU units"),
        (["run", "hello", "--env", "prod"], 2, "Environment 'prod' not found"),
        (["start", "mark"], 2, "It is a task. Run it with nightferry run mark. Did you mean marks?"),
        (["start", "marks", "--input", "{"], 2, "--input is not JSON"),
        (["status", "zzz"], 2, "Run 'zzz' not found"),
        (["stop", "zzz"], 2, "Run or execution 'zzz' not found"),
        (["logs", "hello"], 2, "has no runs in this environment. Start one with: nightferry run hello"),
        (["logs", "hello", "--level", "LOUD"], 2, "Unknown level 'LOUD'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_usage_errors_are_reported(root: Path, arguments: list[str], code: int, message: str) -> None:
    ended = nightferry(root, *arguments)
    assert ended.returncode == code
    assert message in ended.stderr


def test_an_invalid_variable_starts_nothing_and_runtime_variables_are_accepted(root: Path) -> None:
    assert nightferry(root, "run", "hello", "-e", "COUNT=many", "--detach").returncode == 2
    assert not open_backend(root).runs()
    given = ["-e", "COUNT=3", "-e", "LOGGING_LEVEL=DEBUG", "-e", "S3_KEY=in/a"]
    ended = nightferry(root, "run", "hello", *given, "--", "sh", "-c", "echo $COUNT $LOGGING_LEVEL $S3_KEY")
    assert ended.stdout == "3 DEBUG in/a\n"


def test_a_missing_project_is_reported(tmp_path: Path) -> None:
    ended = nightferry(tmp_path, "tasks")
    assert ended.returncode == 2
    assert "[tool.nightferry]" in ended.stderr


def test_a_secret_on_the_command_line_is_rejected_without_printing_its_value(root: Path) -> None:
    module = next(root.glob("toy_*.py"))
    module.write_text(module.read_text() + "\nsh('secretive', 'true', secrets={'PASSWORD': Secret('password')})\n")
    ended = nightferry(root, "run", "secretive", "-e", "PASSWORD=opensesame")
    assert ended.returncode == 2
    assert "PASSWORD is a secret" in ended.stderr
    assert "opensesame" not in ended.stderr
    assert not open_backend(root).runs()


@pytest.mark.long
def test_another_terminal_shows_the_run_and_stops_it(root: Path) -> None:
    backend = open_backend(root)
    with start(root, "run", "slow") as first:
        until(lambda: any(list(backend.log([run.id])) for run in backend.runs()), "the task runs")
        [run] = backend.runs()
        assert "RUNNING" in nightferry(root, "status").stdout
        beside = nightferry(root, "run", "three")
        assert (beside.returncode, beside.stdout) == (3, "leaving\n"), "the first terminal's engine runs it"
        assert nightferry(root, "stop", run.id[:10], "--reason", "lunch").returncode == 0
        out, _ = first.communicate(timeout=60)
    assert (first.returncode, out) == (143, "started\n")
    assert backend.run(run.id).reason.startswith("lunch (by ")
    assert "has already ended" in nightferry(root, "stop", run.id).stdout


def test_ctrl_c_stops_the_task(root: Path) -> None:
    backend = open_backend(root)
    with start(root, "run", "slow") as process:
        until(lambda: any(list(backend.log([run.id])) for run in backend.runs()), "the task runs")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in err
    [run] = backend.runs()
    assert run.reason == f"Stopped from the terminal. (by {getpass.getuser()})"


def test_a_detached_run_continues_and_its_log_can_be_followed(root: Path) -> None:
    started = nightferry_process(root, "run", "hello", "--detach", "--", "sh", "-c", "echo one; sleep 1; echo two")
    id = started.stdout.strip()
    followed = nightferry(root, "logs", id, "--follow")
    assert followed.stdout == "one\ntwo\n"
    until(lambda: open_backend(root).run(id).status == "STOPPED", "it ends")
    assert open_backend(root).run(id).exit_code == 0


def test_a_terminal_shows_progress_as_a_bar_and_a_pipe_prints_it_unchanged(root: Path) -> None:
    code, drawn = on_terminal(root, "run", "hello", "--", "sh", "-c", PROGRESS)
    assert code == 0
    assert "reading ━" in drawn
    assert "1,000 of 4,000 lines" in drawn
    assert '"event"' not in drawn
    piped = nightferry(root, "logs", "hello")
    assert [json.loads(line)["done"] for line in piped.stdout.splitlines()] == [1000, 4000]
