"""Compare figures with their limits, and record them: a ratio has a minimum, and an amount has a maximum.

A figure without a limit is recorded only, such as the distance to a peer that does less than ours.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

RECORD = "NIGHTFERRY_BENCHMARK_RECORD"
"""The variable with the path of a file, to which :func:`judge` and :func:`note_version` append lines of JSON."""

MISSING = "not installed"
"""The version of a program that is not installed."""

QUICK = "QUICK"
"""The variable that, if it is set, makes all benchmarks small, to check that they work."""


@dataclass(frozen=True)
class Ratio:
    """A speed as a multiple of the speed of a peer that was measured in the same run."""

    name: str
    value: float
    minimum: float | None = None

    unit = ""

    @property
    def target(self) -> str:
        return "" if self.minimum is None else f"at least {self.minimum:g}"

    @property
    def missed(self) -> bool:
        return self.minimum is not None and self.value < self.minimum


@dataclass(frozen=True)
class Limit:
    """An amount, such as seconds or megabytes, with a maximum."""

    name: str
    value: float
    maximum: float | None
    unit: str

    @property
    def target(self) -> str:
        return "" if self.maximum is None else f"at most {self.maximum:.4g}"

    @property
    def missed(self) -> bool:
        return self.maximum is not None and self.value > self.maximum


def format_figure(name: str, value: float, unit: str, target: str, missed: bool) -> str:
    """Return a line of the table of figures."""
    verdict = "MISSED" if missed else "ok" if target else "no target"
    return f"{name:62} {value:10,.4g} {unit:8} {target:>16}  {verdict}"


def judge(*figures: Ratio | Limit) -> None:
    """Print each figure, and record it if :data:`RECORD` is set. Exit with 1 if a figure misses its limit.

    In a quick check (:data:`QUICK`) the figures mean nothing, so that a missed limit is only printed.
    """
    for figure in figures:
        print(format_figure(figure.name, figure.value, figure.unit, figure.target, figure.missed))
        _record(
            {
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "target": figure.target,
                "missed": figure.missed,
                "better": "more" if isinstance(figure, Ratio) else "less",
            }
        )
    missed = [figure.name for figure in figures if figure.missed]
    if missed and not os.environ.get(QUICK):
        raise SystemExit(f"Missed: {'; '.join(missed)}.")


def note_version(program: str, version: str) -> None:
    """Record the version of a program that this benchmark used, or :data:`MISSING`, if :data:`RECORD` is set."""
    _record({"program": program, "version": version})


def _record(fields: dict[str, object]) -> None:
    if path := os.environ.get(RECORD):
        with Path(path).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(fields) + "\n")
