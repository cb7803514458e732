"""The declared tasks match the console scripts of the distribution, and the catalog loads no heavy library."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nightferry import Task
from nightferry.environments import Project
from paidleave.catalog import catalog

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
SCRIPTS: dict[str, str] = PROJECT["project"]["scripts"]
HEAVY = ("polars", "pyarrow", "psycopg", "sqlalchemy", "alembic", "httpx", "lxml", "boto3", "numpy", "starlette")


@pytest.mark.parametrize("task", catalog.tasks.values(), ids=lambda task: str(task.name))
def test_the_command_of_a_task_is_the_console_script_of_its_main(task: Task) -> None:
    assert task.command == (task.name,)
    assert task.main == SCRIPTS[task.name]


def test_every_other_console_script_is_a_local_tool() -> None:
    assert SCRIPTS.keys() - catalog.tasks.keys() == {"fineos-simulator", "paidleave-demo"}


def test_loading_the_catalog_imports_no_library_of_a_job() -> None:
    program = "import sys, paidleave.catalog; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_tasks_that_lose_disclose_or_move_data_need_a_confirmation_by_hand() -> None:
    confirmed = {task.name for task in catalog.tasks.values() if task.by_hand == "confirm"}
    assert confirmed == {"db-migrate-down", "execute-sql", "sftp-tool", "fineos-bucket-tool"}


def test_only_production_makes_its_dashboard_read_only() -> None:
    project = Project.find(Path(__file__).parents[1])
    production = [name for name in ("local", "test", "stage", "prod") if project.environment(name).production]
    assert production == ["prod"]
