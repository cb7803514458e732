"""The progress of a job's steps, from the lines that its runtime writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nightferry.backend.log_windows import LogLine
from nightferry.contract import LogEvent


@dataclass
class StepProgress:
    """The progress of steps, by run and step."""

    steps: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def record(self, line: LogLine, fields: dict[str, Any]) -> None:
        """Record the progress of a step."""
        self.steps.setdefault(line.run, {})[str(fields.get("step"))] = fields

    def find_latest(self, run: str) -> dict[str, Any] | None:
        """Return the latest step of a run."""
        steps = self.steps.get(run)
        return list(steps.values())[-1] if steps else None


def is_progress(fields: dict[str, Any] | None) -> bool:
    """Return True if the line reports the progress of a step. A progress bar shows it instead."""
    if fields is None or fields.get("event") != LogEvent.PROGRESS:
        return False
    done, total = fields.get("done"), fields.get("total")  # of any type in a line that another program wrote
    return _is_count(done) and (total is None or _is_count(total))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 10**15
