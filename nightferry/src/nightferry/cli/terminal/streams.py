"""The only writer of the commands: all their text passes through these functions, so that it is printable.

Texts may contain names, messages and output of others (:mod:`nightferry.printable`). A text of several lines has its
continuation lines indented, so that none of them looks like a line of the command. ``tests/test_architecture.py``
rejects any other way of writing to standard output or standard error in the package ``cli``.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from nightferry.printable import indent_continuation, make_printable

# The sequences of rich and of the shell's prompt: colors, the cursor, and carriage returns of a progress display.
_OWN_SEQUENCE = re.compile(r"(\x1b\[[0-9;?]{0,32}[A-Za-z]|\r)")


def echo(text: str = "", *, err: bool = False) -> None:
    """Print a text with indented continuation lines on standard output, or on standard error."""
    echo_block(indent_continuation(text), err=err)


def echo_block(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text of several lines that the command itself has written, such as a document."""
    stream = sys.stderr if err else sys.stdout
    stream.write(make_printable(text) + ("\n" if nl else ""))
    stream.flush()


def echo_styled(text: str) -> None:
    """Print lines with colors that the command itself has written."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def echo_copy(text: str) -> None:
    """Print what another process has printed through this module (:func:`copy_streams`)."""
    if sys.stdout is not None:
        _write_exactly(sys.stdout, text)


def writes_utf_8() -> bool:
    """Return True if standard output is open and encodes its text in UTF-8."""
    return sys.stdout is not None and sys.stdout.encoding.lower() == "utf-8"


def echo_data(text: str) -> None:
    """Print a text for another program: exactly, unless standard output is a terminal."""
    stream = sys.stdout
    if stream.isatty():
        echo_block(text, nl=False)
    else:
        _write_exactly(stream.stream if isinstance(stream, GuardedStream) else stream, text)


def _write_exactly(stream: TextIO, text: str) -> None:
    with _notice_closed_pipe():
        stream.write(text)
        stream.flush()


class PipeClosed(Exception):
    """The reader of a standard stream, such as ``head``, has closed the pipe.

    It is not a BrokenPipeError, after which Typer and rich would end the process with exit code 1.
    """


@contextmanager
def _notice_closed_pipe() -> Iterator[None]:
    """Raise PipeClosed if the block, which writes to a standard stream, finds its pipe closed."""
    try:
        yield
    except BrokenPipeError:
        raise PipeClosed from None


class GuardedStream:
    """A standard stream for what other libraries write, such as messages of the parser of options, and tracebacks.

    Colors and movements of the cursor pass; other control characters are escaped.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.copy: list[str] | None = None

    def write(self, text: str) -> int:
        """Write the printable form of a text. Raises PipeClosed."""
        pieces = _OWN_SEQUENCE.split(text)  # each second one is such a sequence
        pieces[::2] = map(make_printable, pieces[::2])
        shown = "".join(pieces)
        if self.copy is not None:
            self.copy.append(shown)
        with _notice_closed_pipe():
            return self.stream.write(shown)

    def flush(self) -> None:
        """Write what is buffered. Raises PipeClosed."""
        with _notice_closed_pipe():
            self.stream.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard_streams() -> None:
    """Let everything that this process writes to its standard streams from now on pass through a guard."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, GuardedStream):
            setattr(sys, name, GuardedStream(stream))


def discard_output() -> None:
    """Discard what is still buffered for a closed pipe, whose error at Python's end would change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except PipeClosed:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def copy_streams() -> tuple[list[str], list[str]]:
    """Guard the streams. Return lists that get a copy of each text for standard output and for standard error."""
    guard_streams()
    copies: tuple[list[str], list[str]] = ([], [])
    for stream, copy in zip((sys.stdout, sys.stderr), copies, strict=True):
        if isinstance(stream, GuardedStream):
            stream.copy = copy
    return copies


def describe_streams() -> str:
    """Return what the form of the output depends on, apart from environment variables."""
    out = sys.stdout
    look = None if out is None else (out.isatty(), out.encoding, out.errors)
    return repr((look, [_find_columns(descriptor) for descriptor in (0, 1, 2)]))


def _find_columns(descriptor: int) -> int | None:
    try:
        return os.get_terminal_size(descriptor).columns
    except OSError:
        return None
