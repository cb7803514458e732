"""Errors inside the engine are shown by the catalog's policy, in causes and in engine.log."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightferry.contract import Privacy
from nightferry.errors import NightferryError
from nightferry.job.redaction import redactor
from nightferry.local import __main__ as background
from nightferry.local.backend import LocalBackend
from nightferry.local.engine.executor import format_error
from tests.local.toy import make_project


@pytest.mark.parametrize("error", [ValueError("row of Jane Doe, 123-45-6789"), KeyError("123-45-6789")])
def test_a_strict_policy_withholds_the_message_of_an_internal_error(error: Exception) -> None:
    strict = format_error(error, Privacy.STRICT)
    assert strict.startswith(type(error).__name__)
    assert not {"Jane", "6789"} & set(strict.replace("-", " ").replace("'", " ").split())
    assert "6789" in format_error(error, Privacy.SECRETS_ONLY)
    assert format_error(NightferryError("Read the page."), Privacy.STRICT) == "Read the page."


def test_an_engine_in_the_background_ends_without_a_raw_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project")
    catalog = next(project.glob("toy_*.py"))
    catalog.write_text(catalog.read_text().replace('Catalog("toy", ', 'Catalog("toy", privacy="strict", '))

    async def fail(*_: object) -> None:
        raise ValueError("row of Jane Doe, 123-45-6789")

    monkeypatch.chdir(project)
    monkeypatch.setattr(LocalBackend, "work", fail)
    monkeypatch.setattr("sys.argv", ["nightferry.local", "local"])
    with redactor.isolate(), pytest.raises(SystemExit) as ended:
        background.main()
    text = str(ended.value.code)
    assert "ValueError" in text
    assert "test_internal_errors" in text  # the frames
    assert "Jane" not in text
    assert "6789" not in text
