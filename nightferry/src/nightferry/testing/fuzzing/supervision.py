"""Runs parsers of a registry in processes with limits, restarts a process that an input ended, and formats the results.

A process that an input ends (time limit, memory, crash of a C library) or blocks is a breach of that input.
"""

from __future__ import annotations

import json
import math
import select
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_BLOCKED_SECONDS = 300  # without progress; the machine may be busy
_MAX_RESTARTS = 3

Summary = dict[str, Any]
"""The results of a parser: the fields of :class:`nightferry.testing.fuzzing.trial.Trial`."""


@dataclass(frozen=True)
class Job:
    """The mutations ``first`` to ``count`` of a parser."""

    parser: str
    first: int
    count: int


class _Ended(Exception):
    """The process ended or is blocked. The argument is the cause in words."""


def fuzz(registry: str, counts: Mapping[str, int], seed: int, *, coverage: int = 500) -> list[Summary]:
    """Try ``counts`` mutations of each parser of the module ``registry``, and return the results in this order.

    ``coverage`` is the number of mutations with which coverage is measured. The processes run in the current folder
    with an empty temporary folder as the place for files.
    """
    results = []
    child: _Child | None = None
    try:
        for parser, count in counts.items():
            found: list[Summary] = []
            first = 0
            while True:
                child = child or _Child(registry, seed, coverage)
                try:
                    found.append(child.run(Job(parser, first, count)))
                    break
                except _Ended as ended:
                    index = child.close()
                    child = None
                    found.append(_make_breach(parser, str(ended), index, index - first + 1))
                    first = index + 1
                    if len(found) > _MAX_RESTARTS:
                        break
            results.append(_merge(found))
    finally:
        if child is not None:
            child.close()
    return results


class _Child:
    """A process that tries parsers one after the other."""

    def __init__(self, registry: str, seed: int, coverage: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        progress = Path(self._folder.name) / "progress"
        progress.write_bytes(bytes(8))
        self._progress = progress
        command = [sys.executable, "-m", "nightferry.testing.fuzzing", registry, "--seed", str(seed)]
        command += ["--progress", str(progress), "--coverage", str(coverage)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, job: Job) -> Summary:
        """Run a job and return its results. Raises _Ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps([job.parser, job.first, job.count]), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise _Ended(self._describe_end()) from None
        before, waited = -1, 0
        while not select.select([self._process.stdout], [], [], 5)[0]:
            index = self._read_progress()
            waited = waited + 5 if index == before else 0
            before = index
            if waited > _BLOCKED_SECONDS:
                raise _Ended(f"no progress for {_BLOCKED_SECONDS} s")
        line = self._process.stdout.readline()
        if not line:
            raise _Ended(self._describe_end())
        result: Summary = json.loads(line)
        return result

    def close(self) -> int:
        """End the process; return the number of the last mutation."""
        index = self._read_progress()
        if self._process.poll() is None:
            for child in psutil.Process(self._process.pid).children(recursive=True):
                child.kill()
            self._process.kill()
        self._process.communicate()
        self._folder.cleanup()
        return index

    def _read_progress(self) -> int:
        number: int = struct.unpack("q", self._progress.read_bytes())[0]
        return number

    def _describe_end(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return "the process exceeded the limit of CPU time"
        return f"the process ended with {signal.Signals(-code).name if code < 0 else code}"


def distribute(total: int, weights: Mapping[str, float], least: int = 1) -> dict[str, int]:
    """Distribute ``total`` mutations to the parsers by weight, at least ``least`` for each."""
    unit = total / sum(weights.values())
    return {name: max(least, math.ceil(unit * weight)) for name, weight in weights.items()}


def format_table(results: Sequence[Summary]) -> str:
    """Return the results as a table."""
    lines = [f"{'parser':34} {'mutations':>9} {'seconds':>8} {'slowest':>8} {'coverage':>8} {'past 1st':>8} breaches"]
    for result in results:
        past = result["past"] / max(result["mutations"], 1)
        lines.append(
            f"{result['parser']:34} {result['mutations']:9} {result['seconds']:8.1f} {result['slowest']:7.3f}s "
            f"{result['coverage']:8.0%} {past:8.0%} {len(result['breaches'])}"
        )
    total = sum(result["mutations"] for result in results)
    lines.append(f"{'all':34} {total:9} {sum(result['seconds'] for result in results):8.1f}")
    return "\n".join(lines)


def format_breaches(results: Sequence[Summary]) -> str:
    """Return the breaches with their reproductions, one per line."""
    breaches = [breach for result in results for breach in result["breaches"]]
    return "\n".join(f"{each['parser']} #{each['index']}: {each['kind']}\n    {each['data']}" for each in breaches)


def _make_breach(parser: str, kind: str, index: int, mutations: int) -> Summary:
    breach = {"parser": parser, "kind": kind, "index": index, "data": "show it with --show"}
    empty = {"past": 0, "seconds": 0.0, "slowest": 0.0, "coverage": 0.0}
    return {"parser": parser, "mutations": mutations, **empty, "breaches": [breach]}


def _merge(parts: Sequence[Summary]) -> Summary:
    merged = dict(parts[-1])
    for field in ("mutations", "past", "seconds"):
        merged[field] = sum(part[field] for part in parts)
    merged["slowest"] = max(part["slowest"] for part in parts)
    merged["breaches"] = [breach for part in parts for breach in part["breaches"]]
    return merged
