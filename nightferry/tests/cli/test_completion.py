"""The completion of command lines by a shell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nightferry.cli.app import main
from nightferry.cli.run.run_ecs_task import main as run_ecs_task
from tests.aws.project import make_aws_project
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
