"""Print tables: formatted on a terminal, tab-separated in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightferry.cli.terminal.lines import print_unchanged

_REPLACED_BY_SPACES = str.maketrans("\t\r\n", "   ")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str = "None declared.") -> None:
    """Print rows as a table on a terminal, and tab-separated in a pipe."""
    console = Console()
    if not rows:
        print_unchanged(console, empty)
        return
    if not console.is_terminal:
        print_rows(console, rows)
        return
    drawn = Table(*columns, box=None, header_style="bold")
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    console.print(drawn)


def print_rows(console: Console, rows: Sequence[Sequence[Any]]) -> None:
    """Print a tab-separated line for each row. None is an empty column."""
    for row in rows:
        print_unchanged(
            console, "\t".join("" if cell is None else str(cell).translate(_REPLACED_BY_SPACES) for cell in row)
        )
