"""Test the jobs."""

from __future__ import annotations

import subprocess
import sys


def test_hello_greets_by_name() -> None:
    job = "my_project.jobs:hello"
    command = [sys.executable, "-m", "nightferry.job", job, "--who=Ada", "--times=2"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert ended.stdout.count("Hello, Ada!") == 2
