"""The only writer of the commands: all their text passes through these functions, so that it is printable.

Texts may contain names, messages and output of others (:mod:`nightferry.printable`). A text of several lines has its
continuation lines indented, so that none of them looks like a line of the command. ``tests/test_architecture.py``
rejects any other way of writing to standard output or standard error in the package ``cli``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from nightferry.printable import indent_continuation, make_one_line, make_printable

# The sequences of rich and of the shell's prompt: colors, the cursor, and carriage returns of a progress display.
_OWN_SEQUENCE = re.compile(r"(\x1b\[[0-9;?]{0,32}[A-Za-z]|\r)")


class Terminal(Console):
    """A console whose texts are printable. Only its own styles control the terminal."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts and renderables; the continuation lines of a text are indented."""
        super().print(*(indent_continuation(one) if isinstance(one, str) else one for one in objects), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a renderable with printable texts."""
        for segment in super().render(renderable, options):
            shown = segment.text if segment.control else make_printable(segment.text)
            yield segment if shown == segment.text else Segment(shown, segment.style)


def echo(text: str = "", *, err: bool = False) -> None:
    """Print a text with indented continuation lines on standard output, or on standard error."""
    echo_block(indent_continuation(text), err=err)


def echo_block(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text of several lines that the command itself has written, such as a document."""
    stream = sys.stderr if err else sys.stdout
    stream.write(make_printable(text) + ("\n" if nl else ""))
    stream.flush()


def echo_data(text: str) -> None:
    """Print a text for another program: exactly, unless standard output is a terminal."""
    stream = sys.stdout
    if stream.isatty():
        echo_block(text, nl=False)
    else:
        exact: TextIO = stream.stream if isinstance(stream, GuardedStream) else stream
        exact.write(text)
        exact.flush()


def print_log_line(console: Console, text: str) -> None:
    """Print one line of a log. In a pipe, bypass the console, which would replace tabs with spaces."""
    shown = make_printable(text).replace("\n", "\\n")
    if console.is_terminal:
        console.out(shown, highlight=False)
    else:
        console.file.write(f"{shown}\n")
        console.file.flush()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str = "None declared.") -> None:
    """Print rows as a table on a terminal, and tab-separated in a pipe."""
    console = Terminal()
    if not rows:
        print_log_line(console, empty)
        return
    if not console.is_terminal:
        print_rows(console, rows)
        return
    drawn = Table(*columns, box=None, header_style="bold")
    for row in rows:
        drawn.add_row(*(Text(make_one_line(str(cell))) for cell in row))
    console.print(drawn)


def print_rows(console: Console, rows: Sequence[Sequence[Any]]) -> None:
    """Print a tab-separated line for each row. None is an empty column."""
    for row in rows:
        print_log_line(console, "\t".join("" if cell is None else make_one_line(str(cell)) for cell in row))


def confirm(question: str) -> None:
    """Ask the person at the terminal, and exit unless the person agrees."""
    typer.confirm(make_printable(question), abort=True)


def ask(question: str) -> str:
    """Return the line that the person at the terminal types."""
    return str(typer.prompt(make_printable(question), default="", show_default=False)).strip()


class GuardedStream:
    """A standard stream for what other libraries write, such as messages of the parser of options, and tracebacks.

    Colors and movements of the cursor pass; other control characters are escaped.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write the printable form of a text."""
        pieces = _OWN_SEQUENCE.split(text)  # each second one is such a sequence
        pieces[::2] = map(make_printable, pieces[::2])
        return self.stream.write("".join(pieces))

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


def print_fields(console: Console, fields: Mapping[str, str | None]) -> None:
    """Print fields that have a value, one per line."""
    for name, value in fields.items():
        if value:
            shown = value.replace("\n", f"\n  {'':<11} ")
            console.print(f"  {name:<11} {shown}", highlight=False, markup=False, soft_wrap=True)
