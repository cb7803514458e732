"""Tables, log lines and questions of the commands, with rich. Their text is printable, as in :mod:`.streams`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from nightferry.printable import indent_continuation, make_one_line, make_printable


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


def print_fields(console: Console, fields: Mapping[str, str | None]) -> None:
    """Print fields that have a value, one per line."""
    for name, value in fields.items():
        if value:
            shown = value.replace("\n", f"\n  {'':<11} ")
            console.print(f"  {name:<11} {shown}", highlight=False, markup=False, soft_wrap=True)
