"""Runs the mutations of one parser in this process, and finds breaches."""

from __future__ import annotations

import resource
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from nightferry.testing.fuzzing.lines import Lines
from nightferry.testing.fuzzing.mutations import mutate
from nightferry.testing.fuzzing.parser import NOTHING, Parser, Unusable

_SHRINK_CALLS = 300
_SHRINK_SECONDS = 3.0
_MAX_BREACHES = 5
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Breach:
    """A breach: its kind and cause, and the input as a reproduction, shortened if that keeps the breach."""

    parser: str
    kind: str
    index: int
    data: str


@dataclass
class Trial:
    """The results of a parser. ``past`` counts the mutations that got past the parser's first check."""

    parser: str
    mutations: int = 0
    past: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    coverage: float = 0.0
    breaches: list[Breach] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


class _Broken(Exception):
    """An input is a breach; the argument is its kind."""


class Trier:
    """Parses inputs of one parser within its limits."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._lines = Lines(parser.covers)
        self._first: set[object] = set()
        self._unraised: list[BaseException] = []
        sys.unraisablehook = lambda found: self._note(found.exc_value)
        threading.excepthook = lambda found: self._note(found.exc_value)
        self.slowest = 0.0

    def fail_garbage(self) -> Iterator[tuple[str, bytes]]:
        """Parse the inputs that fail the first check, and note where. Yield those that are breaches with the kind."""
        for data in self._parser.garbage:
            try:
                self._first.add(self._locate(data))
            except _Broken as broken:
                yield str(broken), data

    def is_past(self, data: bytes) -> bool:
        """Parse ``data``; return True if it is accepted, or fails elsewhere than garbage does.

        Raises:
            _Broken: The input is a breach.
        """
        memory = _read_peak_memory()
        began = time.process_time()
        _limit_cpu(self._parser.cpu)
        where = self._locate(data)
        used = time.process_time() - began
        self.slowest = max(self.slowest, used)
        if used > self._parser.cpu:
            raise _Broken(f"{used:.1f} s of CPU time")
        if (grown := _read_peak_memory() - memory) > self._parser.memory:
            raise _Broken(f"{grown >> 20} MB of memory")
        return where is None or (where is not NOTHING and where not in self._first)

    def measure_coverage(self, inputs: Sequence[bytes]) -> float:
        """Return the share of the parser's lines that run with ``inputs``."""
        self._lines.run(lambda: deque(map(self._locate, inputs), 0))
        return self._lines.compute_share()

    def _locate(self, data: bytes) -> object:
        """Return None if ``data`` is accepted, otherwise where the parser's error was raised."""
        try:
            found = self._parser.read(data)
            if self._unraised:
                raise self._unraised.pop()
            return NOTHING if found is NOTHING else None
        except Unusable:
            return NOTHING
        except self._parser.errors as error:
            text = str(error)
            if shown := next((secret for secret in self._parser.personal if secret in text), None):
                raise _Broken(f"{type(error).__name__} with the personal data {shown!r} in its message") from None
            return tuple(self._list_places(error))[-3:]
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            last = traceback.extract_tb(error.__traceback__)[-1]
            name = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
            ours = list(self._list_places(error))[-1:]
            at = f", called at {Path(ours[0][0]).name}:{ours[0][1]}" if ours else ""
            raise _Broken(f"{name}{at}: {str(error)[:150]}") from None

    def _note(self, error: BaseException | None) -> None:
        """Remember an error of a callback or a thread, which Python only prints."""
        if error is not None and not isinstance(error, self._parser.ignored):
            self._unraised.append(error)

    def _list_places(self, error: BaseException) -> Iterator[tuple[str, int]]:
        for frame, line in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename in self._lines.files:
                yield frame.f_code.co_filename, line


def run(parser: Parser, seed: int, numbers: range, coverage_count: int, note: Callable[[int], None]) -> Trial:
    """Try the mutations of ``parser`` with these ``numbers``; ``note`` receives each number before its input."""
    trial = Trial(parser.name)
    seeds = list(parser.seeds())
    trier = Trier(parser)
    broken_garbage = trier.fail_garbage()
    trial.breaches += [Breach(parser.name, kind, -1, _format(data)) for kind, data in broken_garbage]
    for data in seeds:
        if problem := _find_problem(trier, data):
            trial.breaches.append(Breach(parser.name, f"a valid input: {problem}", -1, _format(data)))
    began = time.process_time()
    kinds: set[str] = set()
    for index in numbers:
        note(index)
        data = make_input(parser, seeds, seed, index)
        try:
            trial.past += trier.is_past(data)
        except _Broken as broken:
            kind = _generalize(str(broken))
            if kind not in kinds and _is_broken(trier, data, kind):
                kinds.add(kind)
                short = shrink(data, lambda less, kind=kind: _is_broken(trier, less, kind))  # type: ignore[misc]
                trial.breaches.append(Breach(parser.name, str(broken), index, _format(short)))
        trial.mutations += 1
        if len(trial.breaches) >= _MAX_BREACHES:
            break
    trial.seconds = time.process_time() - began
    trial.slowest = trier.slowest
    written = sum(file.stat().st_size for file in Path.cwd().rglob("*") if file.is_file())
    if written > parser.disk:
        trial.breaches.append(Breach(parser.name, f"{written} bytes were written", -1, ""))
    if not trial.breaches:
        _limit_cpu(3600)
        sample = [make_input(parser, seeds, seed, index) for index in range(min(numbers.stop, coverage_count))]
        trial.coverage = trier.measure_coverage([*seeds, *(data for data in sample if len(data) < 8192)])
    return trial


def make_input(parser: Parser, seeds: Sequence[bytes], seed: int, index: int) -> bytes:
    """Return the mutation with this number; the same for the same ``seed``."""
    return mutate(parser, seeds, Random(f"{seed}/{parser.name}/{index}"))  # noqa: S311  # no secret


def shrink(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """Return a shorter input that still fails, if one is found quickly."""
    calls, until = 0, time.process_time() + _SHRINK_SECONDS
    size = len(data) // 2
    while size:
        start = 0
        while start < len(data):
            calls += 1
            if calls > _SHRINK_CALLS or time.process_time() > until:
                return data
            less = data[:start] + data[start + size :]
            if fails(less):
                data = less
            else:
                start += size
        size //= 2
    return data


def _find_problem(trier: Trier, data: bytes) -> str:
    """Return the problem of a valid input; empty without one."""
    try:
        return "" if trier.is_past(data) else "it fails the first check"
    except _Broken as broken:
        return str(broken)


def _is_broken(trier: Trier, data: bytes, kind: str) -> bool:
    try:
        trier.is_past(data)
    except _Broken as broken:
        return _generalize(str(broken)) == kind
    return False


def _generalize(kind: str) -> str:
    """Return the kind without the numbers of one input."""
    return kind.partition(": ")[0] if " at " in kind else kind.lstrip("0123456789. ")


def _format(data: bytes) -> str:
    return repr(data) if len(data) <= 600 else f"{data[:300]!r} … {data[-200:]!r} ({len(data)} bytes)"


def _read_peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def _limit_cpu(seconds: float) -> None:
    """Let the system end the process if it uses this CPU time, and a few seconds, from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)  # counted as the limit is, and differently from process_time
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 5, hard))
