"""Tables: drawn on a terminal, lines with tabs in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightferry.cli.terminal.lines import unchanged

_BLANKS = str.maketrans("\t\r\n", "   ")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], nothing: str = "None declared.") -> None:
    """Print rows: on a terminal as a table, in a pipe with tabs between the columns."""
    console = Console()
    if not rows:
        console.print(nothing)
        return
    if not console.is_terminal:
        tab_separated(console, rows)
        return
    drawn = Table(*columns, box=None, header_style="bold")
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    console.print(drawn)


def tab_separated(console: Console, rows: Sequence[Sequence[Any]]) -> None:
    """Print a line for each row, with tabs between the columns; None is an empty column."""
    for row in rows:
        unchanged(console, "\t".join("" if cell is None else str(cell).translate(_BLANKS) for cell in row))
