"""The record of what the command line does, and starts by hand that a task refuses or that need a confirmation."""

from __future__ import annotations

import getpass
import json
import os
import pty
import stat
from pathlib import Path

import pytest

from nightferry.audit.journal import ActionJournal
from nightferry.backend.actions import Action, ActionFilter
from nightferry.cli.run.run_ecs_task import main as run_ecs_task
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.testing import FakeFargate, forked
from tests.aws.project import ON_AWS
from tests.cli.terminal import PROGRAM, environment, in_process, nightferry, read_to_end
from tests.module_names import module_name

CATALOG = """
from nightferry import Catalog, Image

catalog = Catalog("shop", image=Image("shop"))
catalog.task("list", command=["echo", "listed"])
reset = catalog.task("reset", command=["echo", "was reset"], by_hand="confirm")
inner = catalog.task("inner", command=["sh", "-c", "echo inner; exit 3"], by_hand="never")
catalog.schedule("resets", reset, "cron(0 3 * * ? *)")
catalog.schedule("inners", inner, "cron(0 3 * * ? *)")
catalog.workflow("w", {"StartAt": "s", "States": {"s": {"Type": "Fail", "Error": "no"}}})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "a shop"
    (root / "environments").mkdir(parents=True)
    module = module_name("shop", root)
    (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (root / f"{module}.py").write_text(CATALOG)
    (root / "environments" / "local.toml").write_text('backend = "local"\n')
    (root / "environments" / "test.toml").write_text(ON_AWS.replace("toy", "shop") + "log_quiet_seconds = 0.5\n")
    return root


def open_backend(root: Path) -> LocalBackend:
    project = Project.find(root)
    return LocalBackend(project, project.environment("local"))


def list_actions(root: Path) -> list[Action]:
    return list(open_backend(root).actions())


def test_each_verb_writes_a_record(project: Path) -> None:
    assert nightferry(project, "run", "list", "--reason", "to see the files").returncode == 0
    [action] = list_actions(project)
    assert (action.author, action.action, action.target) == (getpass.getuser(), "run", "list")
    assert (action.reason, action.via) == ("to see the files", "cli")
    [run] = open_backend(project).runs()
    assert action.result is not None
    assert (action.result.failed, action.result.ids) == (False, (run.id,))
    assert list(open_backend(project).actions(ActionFilter(id=run.id))) == [action]
    lines = [json.loads(line) for line in (project / ".nightferry" / "actions.jsonl").read_text().splitlines()]
    assert [next(iter(line)) for line in lines] == ["request", "result"]
    assert stat.S_IMODE((project / ".nightferry" / "actions.jsonl").stat().st_mode) == 0o600

    assert nightferry(project, "start", "w", "--reason", "a test").returncode == 1
    [execution] = open_backend(project).executions()
    assert execution.started_by == getpass.getuser()
    assert open_backend(project).execution(execution.id).started_by == getpass.getuser()
    assert nightferry(project, "redrive", execution.id, "--reason", "again").returncode == 1
    assert nightferry(project, "backfill", "resets", "--from", "2026-01-01", "--to", "2026-01-02", "--confirm",
                      "local", "--reason", "were missed").returncode == 0  # fmt: skip
    found = [(one.action, one.target, one.reason) for one in list_actions(project)]
    assert found == [
        ("backfill", "resets", "were missed"),
        ("redrive", execution.id, "again"),
        ("start", "w", "a test"),
        ("run", "list", "to see the files"),
    ]
    newest = list_actions(project)[0]
    assert newest.result is not None
    assert newest.result.text == "2 of 2 times succeeded"
    assert len(newest.result.ids) == 2


def test_what_starts_nothing_is_not_recorded(project: Path) -> None:
    for words in (
        ["run", "list", "--dry-run"],
        ["run", "lst"],
        ["run", "list", "-e", "NIGHTFERRY_STATE=x"],
        ["backfill", "resets", "--from", "2026-01-01", "--to", "2026-01-02", "--dry-run"],
        ["redrive", "nothing"],
        ["stop", "nothing"],
    ):
        nightferry(project, *words)
    assert list_actions(project) == []


def test_a_refused_redrive_is_recorded_as_failed(project: Path) -> None:
    nightferry(project, "run", "list")
    [run] = open_backend(project).runs()
    assert nightferry(project, "redrive", run.id).returncode == 2
    action = list_actions(project)[0]
    assert action.result is not None
    assert action.result.failed
    assert "it succeeded" in action.result.text


RANGE = ["--from", "2026-01-01", "--to", "2026-01-01"]


@pytest.mark.parametrize("words", [["run", "reset"], ["backfill", "resets", *RANGE]])
@pytest.mark.parametrize("confirmation", ["", "prod", "Local"])
def test_a_start_without_the_right_confirmation_is_refused(project: Path, words: list[str], confirmation: str) -> None:
    option = ["--confirm", confirmation] if confirmation else []
    ended = nightferry(project, *words, *option)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Give the name of the environment, local, to confirm it: --confirm local" in ended.stderr
    assert (list_actions(project), list(open_backend(project).runs())) == ([], [])


@pytest.mark.parametrize("words", [["run", "inner"], ["backfill", "inners", *RANGE]])
def test_a_task_that_is_never_started_by_hand_is_refused(project: Path, words: list[str]) -> None:
    ended = nightferry(project, *words, "--confirm", "local")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert 'declared with by_hand="never"' in ended.stderr
    assert (list_actions(project), list(open_backend(project).runs())) == ([], [])


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("typed", "code"), [("prod", 2), ("local", 0)])
def test_a_terminal_prompts_for_the_name_of_the_environment(project: Path, typed: str, code: int) -> None:
    controller, terminal = pty.openpty()
    words = [PROGRAM, "run", "reset"]
    with forked.Popen(
        words, cwd=project, env=environment(), stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        os.write(controller, f"{typed}\n".encode())
        shown = read_to_end(controller).decode()
        assert process.wait(timeout=60) == code, shown
    assert "type the name of the environment (local)" in shown
    assert len(list_actions(project)) == int(code == 0)


def test_an_option_confirms_without_a_prompt(project: Path) -> None:
    assert nightferry(project, "run", "reset", "--confirm", "local").stdout == "was reset\n"


def test_a_failed_run_needs_the_confirmation_to_start_again(project: Path) -> None:
    backend = open_backend(project)
    backend.store.add_run("ab" * 16, "reset", [], {}, started_by="schedule:resets")
    backend.store.mark_run_stopped("ab" * 16, 1, "EssentialContainerExited", "it failed")
    assert nightferry(project, "redrive", "abab").returncode == 2
    assert nightferry(project, "redrive", "abab", "--confirm", "local").returncode == 0


def test_run_ecs_task_asks_for_the_confirmation_before_any_call(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightferry.cli.run.run_ecs_task.follow_to_end", lambda *_, **__: 0)  # it takes seconds
    with FakeFargate(Project.find(project), "test") as fake:
        variables = {**environment(), **fake.variables}
        variables.pop("CI", None)

        def call(*words: str) -> tuple[int, str]:
            ended = in_process(run_ecs_task, project, variables, *words)
            return ended.returncode, ended.stderr

        assert call("test", "reset", "jane-doe")[0] == 2
        assert 'by_hand="never"' in call("test", "inner", "jane-doe", "--confirm=test")[1]
        assert list_test_actions(project) == []
        code, err = call("test", "reset", "jane-doe", "--confirm", "test", "--reason=month end")
        assert code == 0, err
    [action] = list_test_actions(project)
    assert (action.author, action.action, action.target, action.reason) == ("jane-doe", "run", "reset", "month end")


def list_test_actions(root: Path) -> list[Action]:
    return list(ActionJournal(Project.find(root).state, "test").actions())
