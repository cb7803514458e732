"""The settings of a task as options of ``nightferry run`` and ``run-ecs-task``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer.main

from nightferry.cli.run.run import app as run_app
from nightferry.cli.run.run_ecs_task import app as run_ecs_task_app
from nightferry.cli.run.run_ecs_task import reorder_arguments
from nightferry.cli.run.task_options import CommandOptions, TaskOptions, rewrite
from nightferry.contract import RUN_OPTIONS
from nightferry.environments.project import Project
from tests.aws.project import ON_AWS
from tests.cli.terminal import nightferry
from tests.module_names import module_name

CATALOG = """
from datetime import date, timedelta
from enum import Enum
from typing import Literal
from pydantic import BaseModel, Field, SecretStr
from nightferry import Catalog, Image, Secret
from nightferry.job import JobSettings

class Color(Enum):
    RED = "red"

class Limits(BaseModel):
    rows: int = 1

class LoadSettings(JobSettings):
    since: date = Field(description="First day to load")
    mode: Literal["full", "updates"] = Field(default="full", description="What to load")
    process_id: int = Field(default=1, ge=1, description="Number of the process")
    check: bool = Field(default=False, description="Check the files")
    folder: str = Field(description="Folder")
    regions: list[str] = Field(default=[], description="Regions")
    wait: timedelta = Field(default=timedelta(minutes=2), description="Wait")
    color: Color = Field(default=Color.RED, description="Color")
    days: set[int] = Field(default={1}, description="Days")
    limits: Limits = Field(default=Limits(), description="Limits")
    password: SecretStr | None = Field(default=None, description="Password of the database")

catalog = Catalog("shop", image=Image("shop"))
inbox = catalog.bucket("inbox")
script = 'echo "$SINCE $MODE $PROCESS_ID $CHECK $SCHEDULED_AT $*"'
catalog.task("load-orders", config=LoadSettings, command=["sh", "-c", script, "load"], required_at_start=["SINCE"],
             overridable=["PROCESS_ID"], accepts_args=True,
             env={"FOLDER": inbox / "in", "PROCESS_ID": catalog.setting("process", default=3)},
             secrets={"PASSWORD": Secret("db/password", optional=True)})
catalog.task("any", command=["sh", "-c", "echo $COLOR"], env={"COLOR": "red"})
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    module = module_name("shop", root)
    (root / "environments").mkdir()
    (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (root / f"{module}.py").write_text(CATALOG)
    (root / "environments" / "local.toml").write_text('backend = "local"\n')
    (root / "environments" / "test.toml").write_text(f"{ON_AWS}[settings]\nprocess = 8\n")
    return root


@pytest.fixture(scope="module")
def options(project: Path) -> TaskOptions:
    catalog = Project.find(project).catalog
    return TaskOptions.read(catalog, catalog.tasks["load-orders"])


def test_no_setting_may_be_named_like_an_option_of_these_commands() -> None:
    names = set()
    for app in (run_app, run_ecs_task_app):
        command = typer.main.get_command(app)
        names |= CommandOptions.read(command.params).names
    assert {name[2:].replace("-", "_") for name in names if name.startswith("--")} == RUN_OPTIONS


def test_options_become_variables(options: TaskOptions) -> None:
    own = CommandOptions.read(typer.main.get_command(run_app).params)
    for words, expected in [
        (["load-orders", "--since=2026-11-01"], ["load-orders", "-e", "SINCE=2026-11-01"]),
        (["--since", "2026-11-01", "load-orders"], ["-e", "SINCE=2026-11-01", "load-orders"]),
        (["load-orders", "--check", "--process-id", "-2"], ["load-orders", "-e", "CHECK=true", "-e", "PROCESS_ID=-2"]),
        (["--check", "load-orders"], ["-e", "CHECK=true", "load-orders"]),
        (["--check", "false", "load-orders"], ["-e", "CHECK=false", "load-orders"]),
        (["--folder=a=b c", "--raw", "--env", "test"], ["-e", "FOLDER=a=b c", "--raw", "--env", "test"]),
        (["load-orders", "--", "x", "--since=1"], ["load-orders", "--", "x", "--since=1"]),
        (["-e", "--since=1", "--scheduled-at=2026-11-01T00:00:00Z"],
         ["-e", "--since=1", "-e", "SCHEDULED_AT=2026-11-01T00:00:00Z"]),
    ]:  # fmt: skip
        assert rewrite(words, own, options) == expected


def test_run_ecs_task_takes_settings_before_the_command(options: TaskOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    def reorder(*words: str) -> list[str]:
        return reorder_arguments(words, lambda name: options if name == "load-orders" else None)

    begin = ["test", "load-orders"]
    assert reorder(*begin, "jane", "--since", "2026-11-01", "load", "--since=1") == [
        "-e", "SINCE=2026-11-01", "--", "test", "load-orders", "jane", "load", "--since=1",
    ]  # fmt: skip
    assert reorder(*begin, "--check", "jane") == ["-e", "CHECK=true", "--", "test", "load-orders", "jane"]
    assert reorder(*begin, "jane", "--", "--since=1") == ["--", "test", "load-orders", "jane", "--since=1"]


def test_the_task_receives_its_settings(project: Path) -> None:
    words = ["--since=2026-11-01", "--mode", "updates", "--check", "--scheduled-at=2026-11-01T00:00:00Z"]
    ended = nightferry(project, "run", "load-orders", *words)
    assert (ended.returncode, ended.stdout) == (0, "2026-11-01 updates 3 true 2026-11-01T00:00:00Z \n")
    assert nightferry(project, "run", "any", "--color=blue").stdout == "blue\n"
    ended = nightferry(project, "run", "any", "--json")
    assert (json.loads(ended.stdout)["exit_code"], ended.stderr) == (0, "red\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Task 'load-orders' requires SINCE at each start. Add --since=…"),
        (["--since="], "Task 'load-orders' requires SINCE at each start. Add --since=…"),
        (["--since=tomorrow"], "SINCE=tomorrow: Input should be a valid date"),
        (["--since", "2026-11-01", "--mode=all"], "MODE=all: Input should be 'full' or 'updates'"),
        (["--since=2026-11-01", "--process-id=0"], "PROCESS_ID=0: Input should be greater than or equal to 1"),
        (["--since=2026-11-01", "--regions=eu"], "REGIONS=eu: use JSON"),
        (["--sinc=2026-11-01"], "Task 'load-orders' has no setting --sinc. Did you mean --since?"),
        (["--nme=x"], "Task 'load-orders' has no setting --nme. See: nightferry run load-orders --help"),
        (["--no-check"], "Task 'load-orders' has no setting --no-check. Use --check=false."),
        (["--since"], "--since needs a value: --since=VALUE"),
        (["--since", "--raw"], "--since needs a value: --since=VALUE"),
        (["--since=2026-11-01", "-e", "SINCE=2026-11-02"], "SINCE is set twice, to different values"),
        (["--password=hunter2"], "--password: a secret of task 'load-orders' cannot be set on a command line"),
        (["-e", "PASSWORD=hunter2"], "PASSWORD is a secret of task 'load-orders' and cannot be overridden"),
        (["--since=2026-11-01", "--scheduled-at=today"], "SCHEDULED_AT: use a time with an offset"),
    ],
)
def test_a_mistake_is_refused_with_one_message_before_anything_starts(
    project: Path, words: list[str], message: str
) -> None:
    for env in ("local", "test"):  # no call of AWS is necessary to refuse a value
        ended = nightferry(project, "run", "load-orders", "--env", env, *words)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith(f"nightferry: {message}")
        assert ended.stderr.count("\n") == 1
        assert "hunter2" not in ended.stderr


def test_an_unknown_task_is_reported_before_its_options(project: Path) -> None:
    ended = nightferry(project, "run", "load-order", "--since=1")
    assert (ended.returncode, ended.stderr) == (
        2,
        "nightferry: Task 'load-order' not found. Did you mean load-orders?\n",
    )


def test_the_help_of_a_task_lists_its_settings(project: Path) -> None:
    ended = nightferry(project, "run", "load-orders", "--help")
    assert ended.returncode == 0
    text = ended.stdout[ended.stdout.index("Settings of load-orders") :]
    assert text.strip().splitlines() == [
        "Settings of load-orders, as options, or as variables with -e:",
        "",
        "  --since=YYYY-MM-DD",
        "      First day to load. Required at each start.",
        "  --mode=full|updates",
        "      What to load. Default: full.",
        "  --process-id=NUMBER",
        "      Number of the process. At least 1. Set by the environments: 3 (local), 8 (test).",
        "  --check=true|false",
        "      Check the files. Default: false.",
        "  --folder=TEXT",
        "      Folder. Set by the catalog: ${bucket:inbox}/in.",
        "  --regions=JSON",
        "      Regions. Default: [].",
        "  --wait=HH:MM:SS",
        "      Wait. Default: PT2M.",
        "  --color=red",
        "      Color. Default: red.",
        "  --days=JSON",
        "      Days. Default: [1].",
        "  --limits=JSON",
        '      Limits. Default: {"rows":1}.',
        "  --scheduled-at=TIME",
        "      The time for which the run counts as scheduled, with an offset: 2026-11-01T05:30:00Z. Default:",
        "      none.",
        "  PASSWORD (secret, no option)",
        "      Password of the database. Set it with: nightferry secrets set db/password; on AWS, add --env",
        "      ENV.",
    ]
    assert "--mode" not in nightferry(project, "run", "any", "--help").stdout
    assert nightferry(project, "run", "--help").returncode == 0
