"""The console script reports the errors that a user can repair without a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nightferry.cli.terminal.entry import run_script


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        (lambda: Path("/dev/null").mkdir(), "/dev/null: File exists. Move the file away, or use another folder.\n"),
        (lambda: Path("/dev/null/x").read_text(), "/dev/null/x: Not a directory. Move the file away, or use another"),
        (lambda: Path("/dev").read_text(), "/dev: Is a directory. Move the folder away, or use another file.\n"),
        (lambda: Path("/dev/full").write_text("x" * 10_000), "No space left on device. Free space on its disk.\n"),
    ],
)
def test_a_path_that_cannot_be_used_is_named(
    fail: Callable[[], object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_script("nightferry", fail)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"nightferry: {message}")


def test_a_fault_keeps_its_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        run_script("nightferry", lambda: Path("/does-not-exist").read_text())
