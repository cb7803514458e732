"""``nightferry redrive``: continue a failed execution, or start a failed run again, and follow it until it ends."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nightferry.backend.queries import RunFilter
from nightferry.environments.aws_resources import QUEUES
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.local.backend import LocalBackend
from tests.cli.terminal import nightferry, nightferry_process


def test_a_failed_execution_continues_after_its_cause_is_fixed(root: Path) -> None:
    counter = root.parent / "out.n"
    counter.write_text("-10")  # the task fails three times, then its state gives up
    failed = nightferry(root, "start", "retried")
    assert failed.returncode == 1
    id = failed.stdout.rsplit(maxsplit=1)[1]

    assert nightferry(root, "redrive", id, "--dry-run").stdout == f"{id} can continue at the state that failed.\n"
    again = nightferry(root, "redrive", id[:-3])
    assert again.returncode == 1
    assert "retried failed after" in again.stdout

    counter.write_text("2")
    fixed = nightferry(root, "redrive", id)
    assert fixed.returncode == 0, fixed.stderr
    assert fixed.stderr == f"{id} continues at the state that failed.\n"
    assert fixed.stdout.splitlines()[-1].startswith("retried succeeded after ")

    done = nightferry(root, "redrive", id)
    assert done.returncode == 2
    assert (
        done.stderr
        == f"nightferry: Cannot redrive execution {id}: it is SUCCEEDED, and only failed executions can be redriven.\n"
    )


def test_queues_and_unknown_executions_are_errors(root: Path) -> None:
    for queue in QUEUES:
        assert "has no dead-letter queues" in nightferry(root, "redrive", queue).stderr
    unknown = nightferry(root, "redrive", "no-such-execution")
    assert unknown.returncode == 2
    assert "no-such-execution" in unknown.stderr


def test_the_name_of_a_task_is_not_the_id_of_a_run(root: Path) -> None:
    hint = "'three' is a task. Give the ID of one of its runs, which this command prints: nightferry status three"
    for verb in ("redrive", "stop"):
        refused = nightferry(root, verb, "three")
        assert (refused.returncode, refused.stderr) == (2, f"nightferry: {hint}\n")


def status(root: Path, id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(nightferry(root, "status", id, "--json").stdout)
    return found


def start_failing(root: Path, *more: str) -> str:
    """Run a task that fails with code 3, with variables and arguments, and return its ID."""
    script = 'echo "$COLOR $0 $S3_KEY"; exit 3'
    nightferry(root, "run", "three", "-e", "COLOR=red", "-e", "COUNT=7", *more, "--", "sh", "-c", script, "first")
    id: str = json.loads(nightferry(root, "status", "three", "--json").stdout)["runs"][0]["id"]
    return id


def test_a_failed_run_starts_again_with_the_same_inputs(root: Path) -> None:
    first = start_failing(root, "--memory", "1024", "--cpu", "512")
    shown = json.loads(nightferry(root, "redrive", first[:8], "--dry-run", "--json").stdout)
    assert (shown["repeats"], shown["task"], shown["env"]) == (first, "three", {"COLOR": "red", "COUNT": "7"})
    printed = nightferry(root, "redrive", first[:8], "--dry-run").stdout
    assert printed.startswith(f"Run {first} of three can start again, with the same inputs:\n  Arguments   sh -c ")
    assert printed.endswith("  Variables   COLOR=red\n              COUNT=7\n  Size        cpu 512, memory 1024\n")
    assert len(json.loads(nightferry(root, "status", "--json").stdout)["runs"]) == 1

    again = nightferry(root, "redrive", first[:8])
    assert (again.returncode, again.stdout) == (3, "red first \n")
    second = again.stderr.split("as run ")[1].rstrip(".\n")
    before, after = status(root, first), status(root, second)
    same = ("task", "args", "env", "cpu", "memory")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert (before["repeated_by"], after["repeats"], after["memory"]) == (second, first[:28], 1024)
    lines = nightferry(root, "status", second).stdout
    for line in ("Variables   COLOR=red", "            COUNT=7", f"Repeats     {first[:28]}", "memory 1024"):
        assert line in lines

    refused = nightferry(root, "redrive", first)
    assert refused.returncode == 2
    assert f"Run {first} was already started again, as run {second}." in refused.stderr
    assert nightferry(root, "redrive", second).returncode == 3, "the repeat failed, and can be repeated"


def test_two_operators_start_one_repeat(root: Path) -> None:
    first = start_failing(root)

    def request(_: int) -> str:
        project = Project.find(root)
        try:
            return LocalBackend(project, project.environment("local")).redrive_run(first)
        except NightferryError:
            return ""

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(request, range(8))) - {""}) == 1


def test_a_run_that_succeeded_runs_or_belongs_to_an_execution_is_refused(root: Path) -> None:
    nightferry(root, "run", "hello")
    nightferry(root, "start", "fails")
    project = Project.find(root)
    backend = LocalBackend(project, project.environment("local"))
    [hello] = backend.runs(RunFilter(task="hello"))
    [three] = backend.runs(RunFilter(task="three"))
    backend.store.add_run("waiting", "three", [], {})
    for id, reason in (
        (hello.id, "it succeeded, and only failed runs"),
        (three.id, f"it is a step of execution {three.execution}. Redrive the execution: nightferry redrive fails-"),
        ("waiting", "it is QUEUED, and only failed runs"),
    ):
        refused = nightferry(root, "redrive", id)
        assert refused.returncode == 2
        assert reason in refused.stderr


def test_status_shows_the_inputs_through_redaction(root: Path) -> None:
    module = next(root.glob("toy_*.py"))
    strict = 'Catalog("toy", privacy="strict", '
    module.write_text(module.read_text().replace('Catalog("toy", ', strict))
    project = Project.find(root)
    store = LocalBackend(project, project.environment("local")).store
    environment = {"S3_BUCKET": "inbox", "S3_KEY": "in/SSN 123-45-6789.txt", "S3_VERSION": "7", "PASSWORD": "hunter2"}
    store.add_run("ab12", "three", ["job", "--password", "hunter2", "--ssn=123456789"], environment)
    for arguments in (["ab12"], ["ab12", "--json"], ["--json"]):
        shown = nightferry(root, "status", *arguments).stdout
        assert "hunter2" not in shown
        assert "6789" not in shown
    text = nightferry(root, "status", "ab12").stdout
    assert "PASSWORD=" in text
    assert "Object      s3://inbox/in/SSN" in text
    assert "(version 7)" in text


def test_the_output_of_a_redrive_shows_only_what_is_new(root: Path) -> None:
    (root.parent / "out.n").write_text("-10")
    failed = nightferry(root, "start", "resumed")
    assert "mark: started" in failed.stdout
    (root.parent / "out.n").write_text("2")
    again = nightferry_process(root, "redrive", failed.stdout.rsplit(maxsplit=1)[1])
    assert again.returncode == 0
    first, second, end = again.stdout.splitlines()
    assert first.startswith("flaky: started (run ")
    assert second.startswith("flaky: succeeded")
    assert end.startswith("resumed succeeded")
