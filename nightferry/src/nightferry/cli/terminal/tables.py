"""Tables: drawn for people, plain lines for pipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], nothing: str = "None declared.") -> None:
    """Print rows: on a terminal as a table, in a pipe a line each with tabs between the columns."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nightferry.cli.terminal.lines import unchanged

    console = Console()
    if not rows:
        console.print(nothing)
        return
    if not console.is_terminal:
        for row in rows:
            unchanged(console, "\t".join(str(cell) for cell in row))
        return
    drawn = Table(*columns, box=None, header_style="bold")
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    console.print(drawn)
