"""Run ``nightferry`` in this process, with the clock of a test."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nightferry.cli.app import main
from nightferry.clock import Clock, use_clock


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a command, and its standard output and standard error."""

    exit_code: int
    output: str
    errors: str


def run_command(folder: Path, arguments: Sequence[str], variables: Mapping[str, str], clock: Clock) -> CommandResult:
    """Run a command in ``folder`` with these environment variables added. It must be called in the main thread."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code = 0
    with (
        contextlib.chdir(folder),
        _replace_variables(variables),
        _replace_arguments(arguments),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        use_clock(clock),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    printed, reported = (stream.buffer.getvalue().decode() for stream in (out, err))
    return CommandResult(code, printed, reported)


@contextlib.contextmanager
def _replace_variables(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _replace_arguments(arguments: Sequence[str]) -> Iterator[None]:
    before = sys.argv
    sys.argv = ["nightferry", *arguments]
    try:
        yield
    finally:
        sys.argv = before
