"""The output and the exit code of a job's process."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nightferry.contract import format_scheduled_time
from nightferry.job import Run, Runtime

MakeJob = Callable[..., Any]


def test_every_line_is_an_object_with_time_level_task_and_run(job: MakeJob) -> None:
    ended = job('log.info("hello", extra={"created": 3, "share": 0.5})\nprint("printed")').run()
    assert ended.code == 0
    assert ended.stderr == ""
    for line in ended.lines:
        assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
        assert {"level", "logger", "message"} <= line.keys()
        assert (line["task"], line["run_id"]) == ("a-job", "run-1")
        assert "execution" not in line
    (hello,) = [line for line in ended.lines if line["message"] == "hello"]
    assert (hello["created"], hello["share"], hello["level"]) == (3, 0.5, "INFO")
    assert [line["logger"] for line in ended.lines if line["message"] == "printed"] == ["stdout"]


def test_the_last_line_reports_exit_code_duration_and_peak_memory(job: MakeJob) -> None:
    last = job("bytearray(50_000_000)").run().lines[-1]
    assert (last["event"], last["exit_code"]) == ("ended", 0)
    assert 0 <= last["duration_seconds"] < 60
    assert 50_000_000 < last["peak_memory_bytes"] < 1_000_000_000


def test_a_line_of_a_workflow_names_the_execution(job: MakeJob) -> None:
    ended = job('log.info("hello")').run(SFN_EXECUTION_ID="arn:aws:states:us-east-1:123456789012:execution:m:e")
    assert {line["execution"] for line in ended.lines} == {"arn:aws:states:us-east-1:123456789012:execution:m:e"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("return", 0),
        ('raise JobFailed("The file x is empty. Send it again.")', 1),
        ("raise ValueError", 1),
        ("raise SystemExit(7)", 7),
        ("sys.exit()", 0),
        ("raise Stopped", 143),
    ],
)
def test_each_end_of_a_job_has_its_exit_code(job: MakeJob, body: str, code: int) -> None:
    ended = job(body).run()
    assert ended.code == code
    assert ended.lines[-1]["exit_code"] == code


def test_a_job_failure_has_no_traceback(job: MakeJob) -> None:
    (failed,) = job('raise JobFailed("The file x is empty. Send it again.")').run().events("failed")
    assert failed["message"] == "The file x is empty. Send it again."
    assert failed["level"] == "ERROR"
    assert "traceback" not in failed


def test_an_unexpected_error_is_logged_with_its_traceback(job: MakeJob) -> None:
    (failed,) = job("def helper():\n    raise ValueError('bad')\nhelper()").run().events("failed")
    assert failed["exception"] == "ValueError"
    assert "a_job.py" in failed["traceback"]
    assert "helper" in failed["traceback"]


def test_each_invalid_setting_is_named(job: MakeJob) -> None:
    ended = job('log.info("never")').run(PROCESS_ID="0", DECRYPT="perhaps", LOGGING_LEVEL="")
    assert ended.code == 2
    (event,) = ended.events("bad_settings")
    assert "PROCESS_ID" in event["message"]
    assert "DECRYPT" in event["message"]
    assert "perhaps" not in ended.stdout
    assert "never" not in ended.stdout


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NIGHTFERRY_TIME_LIMIT", "soon"),
        ("NIGHTFERRY_TIME_LIMIT", "-1"),
        ("NIGHTFERRY_OVERLAP", "maybe"),
        ("LOGGING_LEVEL", "nightferry=LOUD"),
    ],
)
def test_an_invalid_variable_of_the_runtime_is_named(job: MakeJob, variable: str, value: str) -> None:
    ended = job("return").run(**{variable: value})
    assert ended.code == 2
    assert variable in ended.events("bad_settings")[0]["message"]


def test_a_run_has_the_time_for_which_it_was_scheduled() -> None:
    time = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    for text in (format_scheduled_time(time), "2026-11-01T01:30:00-04:00"):
        assert Run(Runtime.read("load", {"SCHEDULED_AT": text})).scheduled_at == time
    for environ in ({}, {"SCHEDULED_AT": ""}):
        assert Run(Runtime.read("load", environ)).scheduled_at is None
    for text in ("tomorrow", "2026-11-01T05:30:00"):
        assert "SCHEDULED_AT" in Runtime.read("load", {"SCHEDULED_AT": text}).problems[0]


def test_an_unknown_option_exits_with_2(job: MakeJob) -> None:
    ended = job("return").run("--no-such-option=1")
    assert ended.code == 2
    assert "--no-such-option" in ended.events("bad_settings")[0]["message"]


def test_help_lists_every_setting_and_its_default(job: MakeJob) -> None:
    ended = job("return").run("--help")
    assert ended.code == 0
    assert "Run the body that the test gives." in ended.stdout
    assert "--process-id=NUMBER, PROCESS_ID\n      Number of this process (default: 1)" in ended.stdout
    assert "DB_PASSWORD or DB_PASSWORD_SSM_PATH (secret, no option)" in ended.stdout
    assert "--db-password" not in ended.stdout


def test_an_option_takes_precedence_over_the_variable(job: MakeJob) -> None:
    body = 'log.info("s", extra={"values": [settings.folder_path, settings.decrypt, settings.process_id]})'
    ended = job(body).run("--folder-path=/here", "--decrypt", FOLDER_PATH="/there", PROCESS_ID="3")
    assert [line["values"] for line in ended.lines if line["message"] == "s"] == [["/here", True, 3]]


def test_blank_text_means_not_set(job: MakeJob) -> None:
    ended = job('log.info("s", extra={"values": settings.process_id})').run(PROCESS_ID="", DECRYPT="")
    assert [line["values"] for line in ended.lines if line["message"] == "s"] == [1]


@pytest.mark.parametrize("written", ["{}\n", "{}\r\n", "\n{}\n\n", "{}"])
def test_line_ends_around_a_secret_are_removed(job: MakeJob, written: str) -> None:
    body = 'log.info("s", extra={"letters": [ord(x) for x in settings.db_password.get_secret_value()]})'
    ended = job(body).run(DB_PASSWORD=written.format("ab c\nd "))
    assert [line["letters"] for line in ended.lines if line["message"] == "s"] == [[97, 98, 32, 99, 10, 100, 32]]


def test_a_secret_of_line_ends_only_is_not_set(job: MakeJob) -> None:
    ended = job('log.info("s", extra={"is_set": settings.db_password is not None})').run(DB_PASSWORD="\r\n")
    assert [line["is_set"] for line in ended.lines if line["message"] == "s"] == [False]


REFUSED = {
    "by its length": ("db_pass: SecretStr = Field(min_length=12, description='x')", "at least 12"),
    "by a validator of the field": (
        "db_pass: SecretStr = Field(description='x')\n"
        "    @field_validator('db_pass')\n"
        "    def check(cls, value):\n"
        "        raise ValueError(f'{value.get_secret_value()} is too simple')",
        "is too simple",
    ),
    "by a validator of the text": (
        "db_pass: Annotated[SecretStr, BeforeValidator(lambda text: int(text))] = Field(description='x')",
        "invalid literal for int()",
    ),
    "by a validator of all settings": (
        "db_pass: SecretStr = Field(description='x')\n"
        "    @model_validator(mode='after')\n"
        "    def check(self):\n"
        "        raise ValueError(f'DB_PASS is too simple: {self.db_pass.get_secret_value()}')",
        "DB_PASS is too simple",
    ),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("reason", REFUSED)
@pytest.mark.parametrize("value", ["hunter2-xyz", "hunter2-xyz\n", "hu\nter2-xyz"])
def test_a_refused_secret_is_named_without_its_value(job: MakeJob, reason: str, value: str) -> None:
    field, problem = REFUSED[reason]
    head = (
        "from typing import Annotated\nfrom pydantic import *\nfrom nightferry.job import *\n"
        f"class Settings(JobSettings):\n    {field}\n"
        "@background_task('a-job', Settings)\ndef main(settings, run):\n"
    )
    ended = job("return", head).run(DB_PASS=value)
    assert ended.code == 2
    message = ended.events("bad_settings")[0]["message"]
    assert "DB_PASS is " in message
    assert problem in message
    assert "ter2" not in ended.stdout + ended.stderr


def test_a_secret_that_is_not_text_is_named_without_its_value(job: MakeJob) -> None:
    ended = job("return").run(DB_PASSWORD=os.fsdecode(b"hunter2\xff"))
    assert ended.code == 2
    assert "DB_PASSWORD contains a NUL character, or bytes that are not UTF-8" in ended.stdout
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        ("", {"own info", "other warning"}),
        ("other=INFO", {"own info", "other warning", "other info"}),
        ("__main__=ERROR, other=ERROR", set()),
        ("__main__=DEBUG", {"own debug", "own info", "other warning"}),
    ],
)
def test_levels_by_logger(job: MakeJob, levels: str, shown: set[str]) -> None:
    body = """
log.debug("own debug"); log.info("own info")
other = get_logger("other")
other.info("other info"); other.warning("other warning")
"""
    messages = {line["message"] for line in job(body).run(LOGGING_LEVEL=levels).lines}
    assert {message for message in messages if message.startswith(("own", "other"))} == shown


def test_progress_is_logged_at_start_and_end_and_once_a_second(job: MakeJob) -> None:
    body = """
with run.progress("rows", 1000, "rows") as progress:
    for _ in range(1000):
        progress.advance(1)
"""
    events = job(body).run().events("progress")
    assert [(e["step"], e["done"], e["total"], e["unit"]) for e in (events[0], events[-1])] == [
        ("rows", 0, 1000, "rows"),
        ("rows", 1000, 1000, "rows"),
    ]
    assert len(events) <= 3


def test_a_line_that_cannot_be_formatted_is_not_lost(job: MakeJob) -> None:
    ended = job('log.info("%d of %d", "x")\nlog.info("after")').run()
    assert {"%d of %d", "after"} <= {line["message"] for line in ended.lines}


def test_a_value_that_cannot_be_formatted_is_reported_without_content(job: MakeJob) -> None:
    body = """
import collections
class Broken(collections.UserDict):
    def items(self):
        raise RuntimeError("Smith")
log.info("x", extra={"value": Broken()})
"""
    ended = job(body).run()
    (line,) = [line for line in ended.lines if line["message"].startswith("cannot format a log record")]
    assert line["place"].startswith("a_job:")
    assert "Smith" not in ended.stdout


def test_a_thread_that_never_ends_does_not_prevent_the_exit(job: MakeJob) -> None:
    head_of_limits = "import nightferry.job.limits as limits\nlimits.EXIT_GRACE_SECONDS = 0.2\n"
    ended = job(f"{head_of_limits}threading.Thread(target=time.sleep, args=(60,)).start()").run()
    assert ended.code == 0


def test_the_settings_class_names_the_fields_whose_numbers_are_shown(job: MakeJob) -> None:
    made = job('log.info("numbers", extra={"order_id": 123456789, "other": 123456789})')
    shown = "shown_numbers = frozenset({'order_id'})"
    made.program.write_text(made.program.read_text().replace("    folder_path", f"    {shown}\n    folder_path", 1))
    (line,) = [line for line in made.run(NIGHTFERRY_PRIVACY="strict").lines if line["message"] == "numbers"]
    assert (line["order_id"], line["other"]) == (123456789, "*********")
