"""The lines of runs as they come, and how far their steps are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from nightferry.backend.interface import Backend, LogLine
from nightferry.cli.terminal.lines import is_progress, parsed, pretty, unchanged

_LOUD = ("WARNING", "ERROR", "CRITICAL")


@dataclass
class Steps:
    """How far the steps of runs are, by run and step."""

    steps: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def note(self, line: LogLine, fields: dict[str, Any]) -> None:
        """Note the newest state of a step."""
        self.steps.setdefault(line.run, {})[str(fields.get("step"))] = fields

    def of(self, run: str) -> dict[str, Any] | None:
        """The newest step of a run."""
        steps = self.steps.get(run)
        return list(steps.values())[-1] if steps else None


class Tail:
    """Prints lines of runs as they come; keeps progress for bars. ``quiet`` ones are those below a warning."""

    def __init__(self, backend: Backend, console: Console, raw: bool, quiet: bool = False) -> None:
        self._reader = backend.log_reader()
        self._raw = raw or not console.is_terminal
        self._quiet = quiet
        self.steps = Steps()

    def is_drained(self, run: str) -> bool:
        """Whether a run that has stopped will have no further lines."""
        return self._reader.is_drained(run)

    def show(self, runs: Sequence[str], *, print_to: Console, tasks: Mapping[str, str] | None = None) -> bool:
        """Print what is new; whether there was anything."""
        any_line = False
        for line in self._reader.new(runs):
            any_line = True
            fields = parsed(line.text)
            if fields is not None and is_progress(fields):
                self.steps.note(line, fields)
                if not self._raw or self._quiet:
                    continue
            if self._quiet and (fields is None or fields.get("level") not in _LOUD):
                continue
            if self._raw and not self._quiet:
                unchanged(print_to, line.text)
            else:
                # A line that the terminal itself wraps would make rich misjudge where the live table begins.
                soft_wrap = not print_to.is_terminal
                print_to.print(pretty(line.text, line.time, task=(tasks or {}).get(line.run, "")), soft_wrap=soft_wrap)
        return any_line
