"""The page *Put a failed run right*: each command of its table does what its row states."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.cli.app import app
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from tests.cli.terminal import nightferry
from tests.local.toy import make_project

PAGE = (Path(__file__).parents[2] / "docs/repair.md").read_text()
ROWS = re.findall(r"^\| [^|]+ \| `nightferry (.+?)` \|", PAGE, re.MULTILINE)
DECLARED = """
from nightferry.states.builder import Input
catalog.schedule("nightly", hello, "cron(30 2 * * ? *)", timezone="America/New_York")
catalog.workflow("dated", Steps(RunTask(hello, env={"COLOR": Input("day")})))
"""


class Night:
    """A project whose jobs have failed. ``out`` has a line for each success of ``mark``."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "out"
        self.root = make_project(folder / "toy", out=self.out)
        module = next(self.root.glob("toy_*.py"))
        module.write_text(module.read_text() + DECLARED)
        project = Project.find(self.root)
        self.backend = LocalBackend(project, project.environment("local"))

    def run(self, *words: str) -> int:
        return nightferry(self.root, *words).returncode

    def count(self, task: str) -> int:
        return len(self.backend.runs(RunFilter(task=task)))

    def work(self) -> None:
        store = self.backend.store
        asyncio.run(self.backend.work(lambda: not (store.open_runs() or store.open_executions())))


def redrive_run(night: Night) -> None:
    night.run("run", "three")
    [failed] = night.backend.runs(RunFilter(task="three"))
    assert [night.run("redrive", failed.id), night.count("three")] == [3, 2]
    assert [night.run("redrive", failed.id), night.count("three")] == [2, 2], "a second repeat is refused"


def redrive_execution(night: Night) -> None:
    Path(f"{night.out}.n").write_text("0")
    assert night.run("start", "resumed") == 1
    Path(f"{night.out}.n").write_text("2")
    [execution] = night.backend.executions(ExecutionFilter(workflow="resumed"))
    assert night.run("redrive", execution.id) == 0
    assert (night.count("mark"), night.count("flaky")) == (1, 2), "only the step that failed was repeated"


def run_task(night: Night) -> None:
    before = night.count("hello")
    assert night.run("run", "hello", "--color=green") == 0
    [run, *_] = night.backend.runs(RunFilter(task="hello"))
    assert (night.count("hello"), run.env) == (before + 1, {"COLOR": "green"})


def start_workflow(night: Night) -> None:
    assert [night.run("start", "dated", "--input", f'{{"day": "{day}"}}') for day in ("monday", "tuesday")] == [0, 0]
    colors = [run.env["COLOR"] for run in night.backend.runs(RunFilter(task="hello"))[:2]]
    assert colors == ["tuesday", "monday"], "all steps ran again"


def stop_run(night: Night) -> None:
    night.backend.store.add_run("waiting", "late", [], {})
    assert night.run("stop", "waiting", "--reason", "not tonight") == 0
    night.work()
    stopped = night.backend.run("waiting")
    assert (stopped.stopped_by_user, stopped.outcome, stopped.reason) == (
        True,
        "stopped",
        f"not tonight (by {night.backend.author()})",
    )
    assert (
        json.loads(nightferry(night.root, "redrive", "waiting", "--dry-run", "--json").stdout)["repeats"] == "waiting"
    )


def stop_execution(night: Night) -> None:
    id = night.backend.start_workflow("stays", {})
    assert night.run("stop", id) == 0
    night.work()
    assert night.backend.execution(id).status == "ABORTED"
    assert not [run for run in night.backend.runs(RunFilter(task="slow")) if run.outcome == "open"]
    assert night.run("redrive", id, "--dry-run") == 0


def backfill(night: Night) -> None:
    words = ("backfill", "nightly", "--from", "2026-11-01", "--to", "2026-11-02")
    before = night.count("hello")
    assert [night.run(*words), night.count("hello") - before] == [0, 2]
    assert [night.run(*words), night.count("hello") - before] == [0, 2], "a time starts once"


SCENARIOS: dict[str, Callable[[Night], None]] = {
    "redrive RUN": redrive_run,
    "redrive EXECUTION": redrive_execution,
    "run TASK --SETTING=VALUE": run_task,
    "start WORKFLOW --input JSON": start_workflow,
    "stop RUN": stop_run,
    "stop EXECUTION": stop_execution,
    "backfill SCHEDULE --from TIME --to TIME": backfill,
}
ON_AWS = {"redrive QUEUE --env ENV", "rollback --env ENV"}  # tests/aws and tests/deployability run these


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return Night(tmp_path_factory.mktemp("night"))


def test_the_table_has_exactly_the_tested_commands() -> None:
    assert {*ROWS} == SCENARIOS.keys() | ON_AWS
    assert len(ROWS) == len({*ROWS})


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", SCENARIOS)
def test_a_command_does_what_its_row_states(night: Night, command: str) -> None:
    SCENARIOS[command](night)


def test_each_command_of_the_page_has_these_arguments_and_options() -> None:
    verbs = get_command(app)
    for text in re.findall(r"`nightferry ([^`]+)`", PAGE):
        verb, *words = shlex.split(text.replace("--SETTING=VALUE", "").replace("TIME", "2026-11-01"))
        command = verbs.commands[verb].load()  # type: ignore[attr-defined]
        if verb != "run":  # whose options are the settings of a task of the project
            command.make_context(verb, words)
