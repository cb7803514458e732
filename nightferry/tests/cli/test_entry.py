"""The console script reports the errors that a user can repair without a traceback."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
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


def test_a_full_disk_below_the_store_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    store = sqlite3.connect(":memory:")
    store.execute("PRAGMA max_page_count = 1")
    with pytest.raises(SystemExit) as ended:
        run_script("nightferry", lambda: store.execute("CREATE TABLE run (id)"))
    store.close()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "nightferry: The store of this machine cannot be written: its disk is full. Free space on it.\n"
    )


def test_a_fault_keeps_its_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        run_script("nightferry", lambda: Path("/does-not-exist").read_text())


@pytest.mark.parametrize("function", ["main", "run_ecs_task"])
@pytest.mark.parametrize(("ignored", "code"), [(False, 130), (True, 7)])
def test_ctrl_c_during_the_imports_prints_no_traceback(function: str, ignored: bool, code: int) -> None:
    """The module of a command is replaced by one whose import is interrupted. With nohup, Ctrl-C is ignored."""
    program = f"""
import os, signal, sys, types
signal.signal(signal.SIGINT, signal.SIG_IGN if {ignored} else signal.default_int_handler)
import nightferry.cli
assert not {{"typer", "nightferry.catalog", "nightferry.errors"}} & set(sys.modules), "slow imports before the handler"
def interrupted(name):
    os.kill(os.getpid(), signal.SIGINT)
    return types.SimpleNamespace(main=lambda: sys.exit(7))
nightferry.cli.import_module = interrupted
nightferry.cli.{function}()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", "")


def test_ctrl_c_after_the_imports_is_handled_by_the_command() -> None:
    program = """
import signal, sys, types
import nightferry.cli
before = signal.getsignal(signal.SIGINT)
restored = types.SimpleNamespace(main=lambda: sys.exit(signal.getsignal(signal.SIGINT) is not before))
nightferry.cli.import_module = lambda name: restored
nightferry.cli.main()
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    "command", ["nightferry --help", "nightferry --version", "nightferry run --help", "run-ecs-task --help"]
)
def test_a_reader_that_closes_the_pipe_gives_the_documented_code(command: str) -> None:
    """Typer and rich would exit with 1, and Python with 120 and a message about what is buffered."""
    program, *arguments = command.split()
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_connection_that_the_other_side_closed_is_not_a_closed_pipe() -> None:
    def send() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        run_script("nightferry", send)
