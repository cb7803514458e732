"""Test that the public modules in docs/architecture.md exist, have docstrings and export their names."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nightferry

PAGE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Public names of the toolkit")[2].partition("\n## ")[0]
ROWS = [line.split("|")[1] for line in SECTION.splitlines() if line.startswith("| `")]
PUBLIC = [name for row in ROWS for name in re.findall(r"`([\w.]+)`", row)]


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_has_a_docstring_and_exports_its_names(module: str) -> None:
    public = importlib.import_module(module)
    assert public.__doc__
    names = getattr(public, "__all__", ())
    assert sorted(names, key=str.lower) == sorted(set(names), key=str.lower)
    for name in names:
        assert getattr(public, name) is not None


def test_declarations_can_be_imported_without_optional_packages() -> None:
    program = "from nightferry import Catalog, Image, Secret; import sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    unwanted = {"pydantic", "rich", "typer", "starlette", "boto3", "psycopg", "nightferry.job", "nightferry.states"}
    assert not unwanted & set(loaded)


def test_a_job_imports_no_workflow_and_a_workflow_no_job() -> None:
    for names, unwanted in (("JobSettings, Run, JobFailed", "nightferry.states"), ("RunTask, Steps", "nightferry.job")):
        program = f"from nightferry import {names}; import sys; print({unwanted!r} in sys.modules)"
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert ended.stdout.strip() == "False"


def test_a_job_imports_nothing_of_the_engine_and_of_commands() -> None:
    program = "from nightferry import JobSettings, background_task; import sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    unwanted = {"typer", "rich", "boto3", "psycopg", "sqlite3", "httpx", "cryptography"}
    packages = {f"nightferry.{one}" for one in ("catalog", "states", "backend", "local", "aws", "cli", "environments")}
    assert not (unwanted | packages) & set(loaded)


def test_an_unknown_name_is_not_imported() -> None:
    assert set(nightferry.__all__) <= set(dir(nightferry))
    with pytest.raises(ImportError, match="cannot import name 'JobSetings' from 'nightferry'"):
        exec("from nightferry import JobSetings", {})
    with pytest.raises(AttributeError, match="module 'nightferry' has no attribute 'JobSetings'"):
        _ = nightferry.__getattr__("JobSetings")
