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
from nightferry.clock import Clock, SystemClock, use_clock


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a command, and its standard output and standard error."""

    exit_code: int
    output: str
    errors: str


def run_command(
    folder: Path, *arguments: str, clock: Clock | None = None, variables: Mapping[str, str] | None = None
) -> CommandResult:
    """Run ``nightferry`` with these arguments in ``folder``, in this process.

    The command has the time of ``clock`` and these environment variables added. The local engine, which ``run`` and
    ``start`` become in a local environment, has the machine's time. Call it in the main thread, which receives signals.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code = 0
    with (
        contextlib.chdir(folder),
        _replace_variables(variables or {}),
        _replace_arguments(arguments),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        use_clock(clock or SystemClock()),
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
