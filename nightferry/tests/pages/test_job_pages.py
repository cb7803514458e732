"""Run the examples of the pages on jobs.

A code block of such a page is one of these:

- its first line is a comment with a path: a file of a project. The functions ``test_…`` in its tests are called;
- its lines begin with ``>>>``: a session of Python, whose values are compared. ``…`` stands for any text.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import io
import re
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.conninfo import conninfo_to_dict

from nightferry import storage
from nightferry.job.leases import LeaseTiming
from nightferry.job.limits import LIMIT_GRACE_SECONDS, STOP_GRACE_SECONDS
from nightferry.schedules.expressions import InvalidExpression
from nightferry.schedules.expressions import parse as parse_expression
from nightferry.schedules.fire_times import list_fires
from nightferry.terraform.overlap import QUEUE_SECONDS
from nightferry.testing import FakeBucket, run_command, run_job
from nightferry.testing.tiers import LONG

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.py)(, at the end)?\n")
BUCKETS = ["folder", "s3"] if LONG else ["folder"]  # an emulated S3 takes seconds to import


def read_blocks(name: str) -> list[str]:
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    return [textwrap.dedent(block) for _, block in BLOCK.findall(text)]


def check_session(name: str, values: dict[str, Any]) -> None:
    """Run all sessions of a page one after the other."""
    sessions = "\n".join(block for block in read_blocks(name) if block.startswith(">>>"))
    test = doctest.DocTestParser().get_doctest(sessions.replace("…", "..."), values, name, f"{name}.md", 0)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    failed, tried = runner.run(test, out=report.append)
    assert not failed, "".join(report)
    assert tried == (DOCS / f"{name}.md").read_text(encoding="utf-8").count(">>> ")


@pytest.mark.parametrize("bucket", BUCKETS, indirect=True)
def test_the_sessions_on_storage(bucket: FakeBucket) -> None:
    check_session("storage", {"storage": storage, "io": io, "folder": bucket / "examples"})


def test_the_times_on_leases_and_stops_are_those_of_the_code() -> None:
    timing = LeaseTiming()
    leases = (DOCS / "leases.md").read_text(encoding="utf-8")
    assert f"expires {timing.duration:g} seconds after" in leases
    assert f"renews it every {timing.renew_interval:g} seconds" in leases
    assert f"for {timing.duration - timing.renew_interval:g} seconds, or" in leases
    assert (QUEUE_SECONDS, "checks\n  once per minute" in leases) == (60, True)
    jobs = (DOCS / "jobs.md").read_text(encoding="utf-8")
    times = f"After a stop the process has {STOP_GRACE_SECONDS:g} seconds, after the time limit {LIMIT_GRACE_SECONDS:g}"
    assert times in jobs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a page's project, whose packages are forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "src"), str(tmp_path / "tests"), *sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "acme" or name.startswith("test_"):
            del sys.modules[name]


def write_project(name: str, folder: Path) -> None:
    (folder / "src" / "acme").mkdir(parents=True)
    (folder / "tests").mkdir()
    for block in read_blocks(name):
        if header := FILE.match(block):
            with (folder / header[1]).open("a", encoding="utf-8") as file:
                file.write(block)


def call_tests(file: Path, fixtures: dict[str, Any]) -> int:
    module = importlib.import_module(file.stem)
    tests = [getattr(module, name) for name in dir(module) if name.startswith("test_")]
    for test in tests:
        test(**{name: fixtures[name] for name in inspect.signature(test).parameters})
        if "bucket" in inspect.signature(test).parameters:
            for key in tuple(fixtures["bucket"].keys()):
                storage.delete(fixtures["bucket"] / key)
    return len(tests)


@pytest.mark.parametrize("bucket", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("name", "tests"),
    [
        ("jobs", 3),
        ("settings", 2),
        ("secrets-and-personal-data", 2),
        ("leases", 0),
        ("retries", 1),
        ("databases", 0),
        ("schedules-and-triggers", 0),
        ("schedule-tools", 0),
    ],
)
def test_the_project_of_a_page(name: str, tests: int, folder: Path, bucket: FakeBucket) -> None:
    write_project(name, folder)
    if (folder / "src" / "acme" / "catalog.py").exists():
        catalog = importlib.import_module("acme.catalog")
        check_session(name, vars(catalog))
        for job in catalog.catalog.tasks.values():
            module, _, function = job.main.partition(":")
            assert getattr(importlib.import_module(module), function).name == job.name
    assert sum(call_tests(file, {"bucket": bucket}) for file in (folder / "tests").iterdir()) == tests


@pytest.mark.long  # it starts PostgreSQL
def test_the_job_of_the_page_on_databases(folder: Path, empty_database: str) -> None:
    write_project("databases", folder)
    load = importlib.import_module("acme.load").main
    where = conninfo_to_dict(empty_database)
    names = {"DB_HOST": "host", "DB_PORT": "port", "DB_USERNAME": "user", "DB_NAME": "dbname"}
    settings = {variable: where[key] for variable, key in names.items()}
    assert [run_job(load, settings).result for _ in range(2)] == [{"rows": 1}, {"rows": 0}]


def read_console(name: str, command: str) -> list[str]:
    """Return the output that a page shows for a command."""
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    return text.partition(f"$ nightferry {command}")[2].partition("```")[0].splitlines()[1:]


def make_environment(folder: Path) -> None:
    (folder / "environments").mkdir()
    (folder / "environments" / "local.toml").write_text('backend = "local"\n', encoding="utf-8")
    (folder / "pyproject.toml").write_text('[tool.nightferry]\ncatalog = "acme.catalog:catalog"\n', encoding="utf-8")
    (folder / "src" / "acme" / "__init__.py").touch()


def test_the_simulation_of_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project("schedule-tools", folder)
    make_environment(folder)
    monkeypatch.setenv("COLUMNS", "100")
    ended = run_command(folder, "simulate", "--from", "2026-03-01T00:00:00-05:00")
    assert [line.rstrip() for line in ended.output.splitlines()] == read_console("schedule-tools", "simulate")


def test_the_expressions_of_the_page_are_valid_and_fire_as_it_states() -> None:
    text = (DOCS / "schedules-and-triggers.md").read_text(encoding="utf-8")
    for expression in re.findall(r"`((?:cron|rate|at)\([^)`…]*\d[^)`…]*\))`", text):
        parse_expression(expression)
    for refused in ("L-3", "LW"):
        assert refused in text
        with pytest.raises(InvalidExpression):
            parse_expression(f"cron(0 9 {refused} * ? *)")


@pytest.mark.parametrize(
    ("zone", "expression", "day", "fires"),
    [
        ("America/New_York", "cron(30 2 * * ? *)", (2026, 3, 8), []),
        ("America/New_York", "cron(30 1 * * ? *)", (2026, 11, 1), ["05:30"]),
        ("Europe/London", "cron(0 1 * * ? *)", (2026, 3, 29), []),
        ("Europe/London", "cron(0 2 * * ? *)", (2026, 3, 29), ["01:00"]),
        ("Europe/London", "cron(0 2 * * ? *)", (2026, 10, 25), ["02:00"]),
        ("Australia/Lord_Howe", "cron(15 2 * * ? *)", (2026, 10, 4), []),
        ("America/Santiago", "cron(0 0 * * ? *)", (2026, 9, 6), []),
        ("Africa/Casablanca", "cron(30 2 * * ? *)", (2026, 2, 15), ["01:30"]),
        ("Africa/Casablanca", "cron(30 2 * * ? *)", (2026, 3, 22), []),
        ("Pacific/Apia", "cron(0 12 * * ? *)", (2011, 12, 30), []),
    ],
)
def test_the_clock_changes_of_the_page(zone: str, expression: str, day: tuple[int, int, int], fires: list[str]) -> None:
    assert f"| {zone} | `{expression}` |" in (DOCS / "schedules-and-triggers.md").read_text(encoding="utf-8")
    noon = datetime(*day, 12, tzinfo=UTC)
    found = list_fires(parse_expression(expression), ZoneInfo(zone), noon - timedelta(days=2), noon + timedelta(days=2))
    on_this_day = [fire for fire in found if fire.astimezone(ZoneInfo(zone)).date() == noon.date()]
    assert [f"{fire.astimezone(UTC):%H:%M}" for fire in on_this_day] == fires


def test_every_block_of_python_is_valid_and_imports_names_that_exist() -> None:
    imported = 0
    for page in sorted(DOCS.glob("*.md")):
        for block in read_blocks(page.stem):
            if block.startswith(">>>"):
                continue
            for node in ast.walk(ast.parse(block.replace("[…]", "[...]"), page.name)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "nightferry":
                    module = importlib.import_module(node.module or "")
                    missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                    assert missing == [], (page.name, node.module)
                    imported += 1
    assert imported > 20
