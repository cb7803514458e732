"""Run the examples of docs/testing-jobs.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nightferry.testing.tiers import LONG
from tests.aws.project import ON_AWS

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[2] / "docs" / "testing-jobs.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))

CATALOG = """
from nightferry import Catalog, Image
from nightferry.states.builder import RunTask, Steps
from orders.settings import LoadSettings

catalog = Catalog("orders", image=Image("orders"))
load = catalog.task("load", command=["true"], config=LoadSettings)
report = catalog.task("report", command=["true"], config=LoadSettings)
nightly = catalog.workflow("nightly", Steps(RunTask(load), RunTask(report)))
catalog.schedule("nightly", nightly, "cron(30 2 * * ? *)", timezone="America/New_York")
"""
PROJECT = {
    "pyproject.toml": '[tool.nightferry]\ncatalog = "orders.catalog:catalog"\n',
    "orders/settings.py": "from nightferry.job import JobSettings\n\nclass LoadSettings(JobSettings): ...\n",
    "orders/catalog.py": CATALOG,
    "environments/test.toml": ON_AWS,
}


def test_the_tests_of_the_page_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, text in FILES.items():
        file = pytester.path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(pytester.path)
    for path, text in PROJECT.items():
        (pytester.path / path).parent.mkdir(exist_ok=True)
        (pytester.path / path).write_text(text, encoding="utf-8")
    selected = [] if LONG else ["-k", "not s3 and not aws"]  # pytester imports moto again, which takes seconds
    ended = pytester.inline_run("-p", "no:cacheprovider", "-p", "no:xdist", *selected, "tests")
    ended.assertoutcome(passed=10 if LONG else 5)  # three of the tests with a folder and with S3
