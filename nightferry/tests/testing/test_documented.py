"""Run the examples of docs/testing-jobs.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nightferry.testing.tiers import LONG

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[2] / "docs" / "testing-jobs.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))


def test_the_tests_of_the_page_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, text in FILES.items():
        file = pytester.path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(pytester.path)
    selected = [] if LONG else ["-k", "not s3"]  # pytester imports moto again, which takes seconds
    ended = pytester.inline_run("-p", "no:cacheprovider", "-p", "no:xdist", *selected, "tests")
    ended.assertoutcome(passed=7 if LONG else 4)  # three of the four tests with a folder and with S3
