"""Test the jobs. Each one runs in the process of the test, in milliseconds."""

from __future__ import annotations

from nightferry.testing import run_job

from my_project.jobs import hello


def test_hello_greets_by_name() -> None:
    ended = run_job(hello, {"WHO": "Ada", "TIMES": 2})
    assert ended.exit_code == 0
    greetings = [line for line in ended.lines if line["message"] == "Hello, Ada!"]
    assert len(greetings) == 2


def test_hello_greets_at_least_once() -> None:
    assert run_job(hello, {"WHO": "Ada", "TIMES": 0}).exit_code == 2  # invalid settings
