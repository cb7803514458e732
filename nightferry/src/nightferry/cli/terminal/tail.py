"""Print the new lines of runs, and record the progress of their steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from nightferry.backend.interface import Backend
from nightferry.backend.log_lines import parse_line
from nightferry.cli.terminal.lines import format_line
from nightferry.cli.terminal.output import print_log_line
from nightferry.presentation.progress import StepProgress, is_progress

_SHOWN_IF_QUIET = ("WARNING", "ERROR", "CRITICAL")


class Tail:
    """Prints new lines of runs, and records progress for progress bars. ``quiet`` hides lines below WARNING."""

    def __init__(self, backend: Backend, console: Console, raw: bool, quiet: bool = False) -> None:
        self._reader = backend.log_reader()
        self._raw = raw or not console.is_terminal
        self._quiet = quiet
        self.steps = StepProgress()

    def is_drained(self, run: str) -> bool:
        """Return True if a stopped run will have no more lines."""
        return self._reader.is_drained(run)

    def show(self, runs: Sequence[str], *, print_to: Console, tasks: Mapping[str, str] | None = None) -> bool:
        """Print the new lines. Return True if there were any."""
        any_line = False
        for line in self._reader.new(runs):
            any_line = True
            fields = parse_line(line.text)
            if fields is not None and is_progress(fields):
                self.steps.record(line, fields)
                if not self._raw or self._quiet:
                    continue
            if self._quiet and (fields is None or fields.get("level") not in _SHOWN_IF_QUIET):
                continue
            if self._raw and not self._quiet:
                print_log_line(print_to, line.text)
            else:
                # If the terminal wraps a line, rich miscalculates the position of the live table.
                soft_wrap = not print_to.is_terminal
                print_to.print(
                    format_line(line.text, line.time, task=(tasks or {}).get(line.run, "")), soft_wrap=soft_wrap
                )
        return any_line
