"""A job in the process of a test: the same exit codes and lines as in its own, and nothing left behind."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import warnings
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr

from nightferry.field_names.personal import has_visible_digits
from nightferry.job import JobFailed, JobSettings, Run, background_task, get_logger
from nightferry.job.redaction import redactor
from nightferry.testing import FakeClock, run_job

log = get_logger(__name__)
KEY = "correct-horse-battery"


class Settings(JobSettings):
    """Settings of a job with each kind of end."""

    shown_numbers = frozenset({"ticket"})

    action: str = Field(description="What the job does")
    key: SecretStr | None = Field(default=None, description="Key of the partner")
    loud: bool = Field(default=False, description="Whether to print")


def fail() -> None:
    raise JobFailed("orders.csv is empty. Send it again.")


ACTIONS: dict[str, Any] = {
    "nothing": lambda _: None,
    "return": lambda _: {"rows": 3},
    "fail": lambda _: fail(),
    "crash": lambda _: 1 / 0,
    "exit": lambda _: sys.exit(7),
    "terminate": lambda _: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(60)),
    "interrupt": lambda _: (os.kill(os.getpid(), signal.SIGINT), time.sleep(60)),
    "hang": lambda _: time.sleep(60),
    "sleep": lambda run: run.clock.sleep(3600),
}


@background_task("a-job", Settings)
def main(settings: Settings, run: Run) -> dict[str, int] | None:
    """Do what the settings say."""
    os.environ["LEFT_BEHIND"] = "1"
    logging.getLogger("some.library").setLevel(logging.DEBUG)
    log.info("began at %s", run.clock.now().year, extra={"ticket": 1234567890, "key_seen": f"{settings.key}"})
    if settings.loud:
        print("printed")
        warnings.warn("a warning", UserWarning, stacklevel=1)
        thread = threading.Thread(target=lambda: log.info("from a thread"))
        thread.start()
        log.info(f"the key is {KEY}")
    return ACTIONS[settings.action](run)


def describe_process() -> dict[str, Any]:
    root = logging.getLogger()
    logging.getLogger("stdout"), logging.getLogger("stderr")
    return {
        "environment": dict(os.environ),
        "handlers": (root.handlers[:], root.level, logging.getLoggerClass(), logging.raiseExceptions),
        "loggers": {
            name: (type(one), one.level)
            for name, one in root.manager.loggerDict.items()
            if isinstance(one, logging.Logger)
        },
        "signals": [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)],
        "streams": (sys.stdout, sys.stderr),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning),
        "redaction": (dict(vars(redactor)), has_visible_digits("ticket")),
    }


@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({"ACTION": "nothing"}, 0),
        ({"ACTION": "fail"}, 1),
        ({"ACTION": "crash"}, 1),
        ({}, 2),
        ({"ACTION": "nothing", "NIGHTFERRY_TIME_LIMIT": "soon"}, 2),
        ({"ACTION": "exit"}, 7),
        ({"ACTION": "hang", "NIGHTFERRY_TIME_LIMIT": 0.05}, 124),
        ({"ACTION": "terminate"}, 143),
    ],
)
def test_each_end_has_the_exit_code_of_a_process_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, object], code: int
) -> None:
    monkeypatch.setenv("ACTION", "nothing")  # of the developer's shell: not a setting of the test
    logging.getLogger("some.library").setLevel(logging.NOTSET)
    logging.getLogger("some.other.library")  # with a parent that does not exist yet
    before = describe_process()
    ended = run_job(main, env)
    after = describe_process()
    new = after["loggers"].keys() - before["loggers"].keys()
    assert {after["loggers"].pop(name) for name in new} <= {(logging.Logger, logging.NOTSET)}
    assert after == before
    assert ended.exit_code == code
    assert (ended.report["event"], ended.report["exit_code"]) == ("ended", code)
    assert ended.report is ended.lines[-1]


def test_the_result_is_what_the_job_returned() -> None:
    assert run_job(main, {"ACTION": "return"}).result == {"rows": 3}
    assert run_job(main, {"ACTION": "nothing"}).result is None


@pytest.mark.filterwarnings("default")
def test_messages_events_and_secrets_are_those_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_job(main, {"ACTION": "fail", "KEY": KEY, "LOUD": True}, clock=FakeClock())
    assert ended.errors == ["orders.csv is empty. Send it again."]
    assert [line["message"] for line in ended.events("failed")] == ended.errors
    messages = [line["message"] for line in ended.lines]
    assert {"printed", "began at 2026", "from a thread", "UserWarning: a warning", "the key is [redacted]"} <= {
        *messages
    }
    assert ended.lines[1]["ticket"] == 1234567890
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == len(ended.lines)
    assert printed.err == ""
    assert KEY not in printed.out
    after = run_job(main, {"ACTION": "nothing"}, ["--loud"])
    assert f"the key is {KEY}" in [line["message"] for line in after.lines]  # not a secret of this run


def test_the_descriptors_may_be_captured(capfd: pytest.CaptureFixture[str]) -> None:
    ended = run_job(main, arguments=["--action=nothing"])
    assert len(capfd.readouterr().out.splitlines()) == len(ended.lines)


def test_a_fake_clock_reaches_the_time_limit_at_once() -> None:
    clock = FakeClock()
    began, seconds = clock.now(), time.monotonic()
    assert run_job(main, {"ACTION": "sleep"}, clock=clock).exit_code == 0
    assert clock.now() - began == timedelta(hours=1)
    ended = run_job(main, {"ACTION": "sleep"}, clock=clock, time_limit=timedelta(minutes=5))
    assert ended.exit_code == 124
    assert ended.errors == ["time limit of 300 s reached; stopping the job"]
    assert clock.now() - began == timedelta(hours=1, minutes=5)
    assert time.monotonic() - seconds < 60


def break_cleanup(run: Run, error: Exception) -> None:
    """Fail in the cleanup after a stop, as the rollback of an interrupted connection does."""
    try:
        run.clock.sleep(3600)
    finally:
        raise error


@pytest.mark.parametrize(
    "error", [JobFailed("The connection is closed."), ValueError("closed")], ids=["known", "other"]
)
def test_an_error_of_the_cleanup_does_not_hide_the_time_limit(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setitem(ACTIONS, "break-cleanup", lambda run: break_cleanup(run, error))
    late = run_job(main, {"ACTION": "break-cleanup"}, clock=FakeClock(), time_limit=timedelta(minutes=5))
    assert (late.exit_code, late.errors) == (124, ["time limit of 300 s reached; stopping the job"])
    assert [line["message"][:21] for line in late.lines if line["level"] == "WARNING"] == [
        "failed after the stop",
        "stopped",
    ]
    assert run_job(main, {"ACTION": "break-cleanup"}, clock=FakeClock()).exit_code == 1


def test_ctrl_c_ends_the_test_too() -> None:
    with pytest.raises(KeyboardInterrupt):
        run_job(main, {"ACTION": "interrupt"})


def test_the_alarm_of_the_test_runner_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_alarm(*_: object) -> None:
        raise TimeoutError

    # An alarm before the job's body can leave a lock of the logging module held.
    monkeypatch.setitem(ACTIONS, "alarm", lambda _: (signal.setitimer(signal.ITIMER_REAL, 0.05), time.sleep(60)))
    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        assert run_job(main, {"ACTION": "alarm"}).report["exit_code"] == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_wrong_call_is_explained() -> None:
    with pytest.raises(TypeError, match=r"is not a job\. Decorate the function"):
        run_job(fail, {})  # type: ignore[arg-type]
    caught: list[BaseException] = []

    def call() -> None:
        try:
            run_job(main, {})
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


class RegionSettings(JobSettings):
    """Process regions."""

    regions: list[str] = Field(description="Regions")
    since: date | None = Field(default=None, description="First day")


@background_task("regions", RegionSettings)
def process_regions(settings: RegionSettings, run: Run) -> dict[str, object]:
    del run
    return settings.model_dump()


def test_lists_are_json_and_none_is_not_set() -> None:
    ended = run_job(process_regions, {"REGIONS": ["eu", "us"], "SINCE": None})
    assert ended.result == {"regions": ["eu", "us"], "since": None}
    assert run_job(process_regions, {"REGIONS": "eu"}).events("bad_settings")[0]["problems"] == [
        "REGIONS is invalid: use JSON, such as [1, 2]"
    ]


def test_a_plain_path_is_a_value(tmp_path: Path) -> None:
    ended = run_job(main, {"ACTION": tmp_path})
    assert ended.exit_code == 1  # an unknown action is a KeyError of the job
    assert ended.events("failed")[0]["exception"] == "KeyError"
