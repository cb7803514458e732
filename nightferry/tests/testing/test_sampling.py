"""The sample of a test's cases: every n-th and the first, in the normal tier; all cases with TEST_SEED."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
import pytest
pytestmark = pytest.mark.sampled(3)
@pytest.mark.parametrize("n", [pytest.param(9, marks=pytest.mark.long), *range(7)])
def test_cases(n): pass
def test_single(): pass
"""


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("seed", "expected"), [("", ["0", "3", "6"]), ("7", ["0", "1", "2", "3", "4", "5", "6"])])
def test_every_third_case_runs(tmp_path: Path, seed: str, expected: list[str]) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["nightferry.testing.sampling"]\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long\n")
    (tmp_path / "test_it.py").write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-m", "not long", "-p", "no:cacheprovider"]
    variables = {"TEST_SEED": seed, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # loading other plugins takes seconds
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | variables, capture_output=True, text=True, check=True)
    cases = [line for line in done.stdout.splitlines() if "::" in line]
    assert cases == [*(f"test_it.py::test_cases[{n}]" for n in expected), "test_it.py::test_single"]
