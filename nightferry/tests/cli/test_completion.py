"""The completion of command lines by a shell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nightferry.cli import quick_completion
from nightferry.cli.app import main
from nightferry.cli.run.run_ecs_task import main as run_ecs_task
from nightferry.cli.verbs import VERBS
from tests.aws.project import make_aws_project
from tests.cli.kept_project import EVALUATED, KEPT, make_command, make_environment, run, write_project
from tests.cli.terminal import environment, in_process


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_aws_project(tmp_path_factory.mktemp("completion") / "toy")


@pytest.mark.parametrize(
    ("script", "line", "expected"),
    [
        (main, "nightferry run hel", {"hello"}),
        (main, "nightferry run hello --co", {"--color", "--confirm", "--count"}),
        (main, "nightferry run hello --color=red --cou", {"--count"}),
        (main, "nightferry run hello --color red --cou", {"--count"}),
        (main, "nightferry run --env test hello --cou", {"--count"}),
        (main, "nightferry run hello --d", {"--dry-run", "--detach"}),
        (main, "nightferry run hello --nothing", set()),
        (main, "nightferry run nothing --co", {"--confirm"}),
        (main, "nightferry start fai", {"fails"}),
        (main, "nightferry notifications test fai", {"failures"}),
        (run_ecs_task, "run-ecs-task test hello jane --co", {"--color", "--confirm", "--count"}),
        (run_ecs_task, "run-ecs-task test hello jane --color red --cou", {"--count"}),
    ],
)
def test_a_shell_completes_names_and_settings(
    root: Path, script: Callable[[], None], line: str, expected: set[str]
) -> None:
    words = line.split()
    variable = f"_{words[0].replace('-', '_').upper()}_COMPLETE"
    shell = {variable: "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = in_process(script, root, environment() | shell)
    assert (set(done.stdout.split()), done.stderr) == (expected, "")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose names are in the cache."""
    root = write_project(tmp_path_factory.mktemp("kept") / "shop")
    command = make_command()
    shell = make_shell("bash", "nightferry run ")
    runs = [run(command, root, make_environment(root, **shell)) for _ in range(2)]
    assert [(one.stdout, one.stderr) for one in runs] == [("clean\nload\n", EVALUATED), ("clean\nload\n", KEPT)]
    return root


def make_shell(shell: str, line: str) -> dict[str, str]:
    """Return the variables with which a shell requests completions. ``fish is-args`` asks if there are any."""
    name, _, action = shell.partition(" ")
    words = line.split(" ")
    return {
        "_NIGHTFERRY_COMPLETE": f"complete_{name}",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": action,
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1],
    }


LINES = ("run ", "env cl", "start load-", "next l", "starts x", "run load ", "run --d", "run 'l", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish get-args", "fish is-args", "powershell"])
def test_kept_names_are_completed_as_by_typer(kept: Path, shell: str) -> None:
    for line in LINES:
        variables = make_environment(kept, **make_shell(shell, f"nightferry {line}"))
        quick, ordinary = (
            run(make_command(module=module), kept, variables) for module in ("nightferry.cli", "nightferry.cli.app")
        )
        assert (quick.stdout, quick.returncode) == (ordinary.stdout, ordinary.returncode), line


def test_each_verb_whose_first_argument_is_a_name_is_completed_from_the_cache(kept: Path) -> None:
    found = {"load": "tasks", "load-all": "workflows", "load-daily": "schedules"}
    kinds = {}
    for verb in VERBS:
        variables = make_environment(kept, **make_shell("bash", f"nightferry {verb.name} load"))
        offered = in_process(main, kept, variables).stdout.split()
        if offered:
            kinds[verb.name] = found[offered[0]]
    assert kinds == quick_completion.KINDS


def test_an_empty_request_is_not_a_completion(kept: Path) -> None:
    variables = make_environment(kept, _NIGHTFERRY_COMPLETE="")
    assert run(make_command("tasks"), kept, variables).stdout.startswith("load\t")
    assert run(make_command("tasks"), kept, variables).stderr == KEPT
