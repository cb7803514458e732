"""Parsers of schedules, times, files of environments and projects, settings, and words of command lines."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr

from nightferry.backend.queries import Cursor
from nightferry.catalog import checks, references, start_values
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image
from nightferry.cli.create import new_environment
from nightferry.cli.run import task_options
from nightferry.cli.terminal import options
from nightferry.contract import Privacy, parse_scheduled_time
from nightferry.environments import aws_settings, environment, project, recipients, setting_checks
from nightferry.errors import DeclarationError, EnvironmentFileError, NightferryError
from nightferry.job import command_line, logs, settings
from nightferry.job.errors import BadSettings
from nightferry.job.redaction.redactor import Redactor
from nightferry.job.settings import JobSettings
from nightferry.presentation import times
from nightferry.presentation.schedules.backfill_times import Bound, parse_bound
from nightferry.schedules import expressions
from nightferry.storage import locations
from nightferry.storage.errors import InvalidLocation
from nightferry.testing.fuzzing import Parser, from_json, from_text
from nightferry.testing.fuzzing.parser import Form
from tests.terraform.example import ENVIRONMENT, NOTICES, make_catalog

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CATALOG = make_catalog()
LOCAL = Catalog("app", image=Image("app"))
LOCAL.setting("database.host")
LOCAL.setting("limit", default=5)


class Job(JobSettings):
    """Settings of a job of every type."""

    password: SecretStr | None = Field(default=None, description="A secret.")
    limit: int = Field(default=1, description="A number.", ge=0)
    share: float = Field(default=0.5, description="A share.")
    names: list[str] = Field(default=[], description="Names.")
    table: dict[str, int] = Field(default={}, description="A table.")
    dry: bool = Field(default=False, description="A switch.")
    day: datetime | None = Field(default=None, description="A time.")


LOCAL_TASK = LOCAL.task("job", command=["job"], config=Job)


def _fire(text: str) -> Any:
    return expressions.find_next_fire(expressions.parse(text), NOW, ZoneInfo("America/New_York"))


def _parse_environment(text: str) -> Any:
    return environment.parse("test", text, CATALOG, Path("environments/test.toml"))


def _parse_local(text: str) -> Any:
    return environment.parse("local", text, LOCAL, Path("environments/local.toml"))


def _read_project(data: bytes) -> Any:
    Path("pyproject.toml").write_bytes(data)
    return project._read_tool_table(Path.cwd())


def _load_variables(values: Any) -> Any:
    """Pass the members of an object as variables, as far as the system accepts them."""
    before = dict(os.environ)
    try:
        for name, value in values.items() if isinstance(values, dict) else ():
            try:
                os.environ[name] = value if isinstance(value, str) else json.dumps(value)
            except (ValueError, OSError, TypeError, UnicodeEncodeError):
                continue
        return command_line.load_settings("job", Job, [])
    finally:
        os.environ.clear()
        os.environ.update(before)


def _load_arguments(text: str) -> Any:
    command_line.mask_arguments(Job, text.split("\n"))
    return command_line.load_settings("job", Job, text.split("\n"))


def _rewrite(text: str) -> Any:
    words = text.split("\n")
    task = next(iter(CATALOG.tasks.values()))
    known = task_options.CommandOptions(frozenset({"--env", "--help"}), frozenset({"--env"}))
    task_options.find_task(words, known, CATALOG)
    return task_options.rewrite(words, known, task_options.TaskOptions.read(CATALOG, task))


def _check_values(values: Any) -> Any:
    texts = {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}
    return start_values.find_value_problems(LOCAL_TASK, texts)


def _substitute(value: Any) -> Any:
    found = references.find_references(value)
    return references.substitute(value, lambda reference: f"<{reference}>") and found


def _join(text: str) -> Any:
    return locations.join("file:///bucket/folder", *text.split("\n")), locations.join("s3://b/k", *text.split("\n"))


def _texts(*texts: str) -> Any:
    return lambda: [text.encode() for text in texts]


_LOCAL = """backend = "local"
[settings]
limit = 7
[settings.database]
host = "h"
[engine]
concurrency = 4
"""
_PROJECT = """[project]
name = "x"
[tool.nightferry]
catalog = "app.catalog:catalog"
"""
_LINES = (
    "name: Zebulonia Quixworth, ssn=078-05-1120",
    '{"first_name": "Zebulonia", "count": 7, "path": "/a/b"}',
    "Bearer abcdef password=hunter2 user:pw@host 123456789 (123) 45-6789",
    "key 'ssn' = '078051120'; <name>Ann</name>",
)
PARSERS = [
    Parser(
        "cursor of a page",
        from_text(Cursor.parse),
        _texts("2026-11-24T20:30:00.000001Z~0123abcd"),
        (ValueError,),
        (Cursor.parse.__func__,),  # type: ignore[attr-defined]
    ),
    Parser(
        "schedule expression",
        from_text(_fire),
        _texts(
            "cron(0/15 8-18 ? * MON-FRI *)",
            "cron(30 20 L * ? 2026-2030)",
            "rate(5 minutes)",
            "at(2026-12-24T20:30:00)",
            "cron(0 0 15W JAN,JUL ? *)",
            "cron(0 1 ? * 2#3 *)",
            "cron(0 1 ? 2 6L *)",
        ),
        (expressions.InvalidExpression,),
        (expressions,),
        weight=30,
        words=(b"L", b"W", b"#", b"?", b"*/", b"SUN", b"-", b",", b"2199"),
    ),
    Parser(
        "time of an option",
        from_text(lambda text: times.parse_time("--since", text)),
        _texts("90s", "15m", "3d", "2026-11-24T20:30:00+05:00", "2026-11-24", "2026-W48-2T10"),
        (NightferryError,),
        (times,),
        weight=30,
    ),
    Parser(
        "times of a backfill",
        from_text(lambda text: parse_bound(Bound("--from", text), ZoneInfo("America/New_York"), NOW, whole_day=True)),
        _texts("2026-11-24", "9999-12-31", "2h"),
        (NightferryError,),
        (parse_bound,),
        weight=10,
    ),
    Parser(
        "scheduled time",
        from_text(parse_scheduled_time),
        _texts("2026-11-24T20:30:00Z", "2026-11-24T20:30:00+01:00"),
        (ValueError,),
        (parse_scheduled_time,),
        weight=10,
    ),
    Parser(
        "environment on AWS",
        from_text(_parse_environment),
        _texts(ENVIRONMENT, ENVIRONMENT + NOTICES),
        (EnvironmentFileError,),
        (environment, recipients, setting_checks, aws_settings),
        weight=6,
        max_bytes=8192,
        words=(
            b"[aws]\n",
            b"[[aws]]\n",
            b"settings = 1\n",
            b'engine = "x"\n',
            b"a.b.c = 1\n",
            b"1979-05-27",
            b"inf",
            b"nan",
            b"'''",
            b'"""',
        ),
    ),
    Parser(
        "local environment",
        from_text(_parse_local),
        _texts(_LOCAL),
        (EnvironmentFileError,),
        (environment,),
        weight=20,
        max_bytes=8192,
        words=(b"[engine]\n", b"settings = 1\n", b"[settings.x]\n", b"= 1e400\n"),
    ),
    Parser(
        "pyproject.toml",
        _read_project,
        _texts(_PROJECT),
        (NightferryError,),
        (project._read_tool_table,),
        disk=64 * 1024,
        weight=6,
    ),
    Parser(
        "settings from variables",
        from_json(_load_variables),
        _texts(
            json.dumps(
                {
                    "LIMIT": "5",
                    "SHARE": "0.25",
                    "NAMES": '["a", "b"]',
                    "TABLE": '{"a": 1}',
                    "DRY": "true",
                    "DAY": "2026-11-24T00:00:00Z",
                    "PASSWORD": "Hunter2Secret",
                }
            )
        ),
        (BadSettings,),
        (settings, command_line),
        Form.JSON,
        personal=("Hunter2Secret",),
        weight=2,
    ),
    Parser(
        "settings from arguments",
        from_text(_load_arguments),
        _texts('--limit=5\n--share\n0.25\n--names=["a"]\n--dry\n--day=2026-11-24'),
        (BadSettings,),
        (command_line,),
        weight=2,
    ),
    Parser(
        "words of nightferry run",
        from_text(_rewrite),
        _texts("load\n--env\ntest\n--limit=3\n--\n--x", "load"),
        (NightferryError,),
        (task_options,),
        weight=10,
        words=(b"\n--env\n", b"\n--\n", b"\n--", b"\nload\n"),
    ),
    Parser(
        "values at a start",
        from_json(_check_values),
        _texts('{"LIMIT": "3", "NAMES": "[1]", "TABLE": "{}", "DAY": "x"}'),
        (),
        (start_values.find_value_problems, start_values._validate, start_values._decode),
        Form.JSON,
        weight=6,
    ),
    Parser(
        "references",
        from_json(_substitute),
        _texts('{"a": "${bucket:files}/in", "b": ["${subnets}", "$${x}"], "${setting:k}": 1}'),
        (),
        (references,),
        Form.JSON,
        (b"${a:b}", b"$${", b"${"),
        weight=20,
    ),
    Parser(
        "location",
        from_text(locations.parse),
        _texts("s3://bucket/a/b.txt", "file:///tmp/a%20b", "/tmp/a"),
        (InvalidLocation,),
        (locations.parse, locations._check, locations._parse_path),
        weight=30,
        words=(b"s3://", b"file://", b"//", b"%00", b"%2e%2e", b"@", b"[", b"?x", b"#"),
    ),
    Parser("name below a folder", from_text(_join), _texts("a\nb c.txt", "é/x"), (InvalidLocation,), (locations.join,)),
    Parser(
        "pattern of keys",
        from_text(checks.find_pattern_problem),
        _texts("in/*", "a/b/*.csv"),
        (),
        (checks.find_pattern_problem,),
    ),
    Parser(
        "--input", from_text(options.parse_input), _texts('{"a": [1, 2]}'), (NightferryError,), (options.parse_input,)
    ),
    Parser(
        "LOGGING_LEVEL",
        from_text(logs.parse_levels),
        _texts("a.b=DEBUG,INFO,x = warn"),
        (),
        (logs.parse_levels,),
    ),
    Parser(
        "redaction of a text",
        from_text(Redactor(Privacy.STRICT).redact_text),
        _texts(*_LINES),
        (),
        (Redactor.redact_text,),
        weight=10,
        words=(b"name: ", b"ssn=", b"<name>", b"</name>", b"(", b"password=", b'{"name": "', b"078-05-1120", b"  "),
    ),
    Parser(
        "redaction of a value",
        from_json(Redactor(Privacy.STRICT).redact_value),
        _texts(*_LINES[1:2]),
        (),
        (Redactor.redact_value,),
        Form.JSON,
        weight=10,
    ),
    Parser(
        "name of an environment",
        from_text(new_environment._check_name)
        if hasattr(new_environment, "_check_name")
        else from_text(lambda text: LOCAL.setting(f"a.{text}")),
        _texts("test", "prod-2"),
        (NightferryError, DeclarationError),
        (Catalog.setting,),
        weight=2,
    ),
]
