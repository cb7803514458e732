"""Test windows of a run's log against a slow reference, and the plans of their statements."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightferry.backend import log_windows
from nightferry.backend.log_lines import judge_level
from nightferry.backend.log_windows import LEVELS, LineFilter, LineNumber, LogLine, LogWindow, Place
from nightferry.local.store import Store
from nightferry.local.store.schema import read_steps
from nightferry.local.store.times import format_time
from nightferry.testing.tiers import LONG

START = datetime(2026, 11, 1, tzinfo=UTC)
TEXTS = ["moved 3 files", "MOVED nothing", 'said "no"', "Größe\t7", "100%", "a_b", "back\\slash", "nul\x00end", ""]
FILTERS = [
    *(LineFilter(level) for level in LEVELS),
    *(
        LineFilter(text=text)
        for text in ("moved", "100%", "%", "a_b", 'said "no"', "back\\slash", "Größe\t7", "absent")
    ),
    LineFilter("WARNING", "m"),
    LineFilter("ERROR", "absent"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store of two runs whose lines alternate, many of them at the same time. No test changes it."""
    store = Store(tmp_path_factory.mktemp("store") / "engine.sqlite")
    numbers = random.Random(3)
    with store.transaction():
        for run in ("run", "other", "empty"):
            store.add_run(run, "task", [], {})
        for _ in range(120):
            line = make_line(numbers)
            store.add_lines([(numbers.choice(["run", "run", "other"]), line)])
    for n, row in enumerate(store._db.execute("SELECT position FROM log_line ORDER BY position").fetchall()):
        at = format_time(START + timedelta(seconds=n // 3))
        store._db.execute("UPDATE log_line SET time = ? WHERE position = ?", (at, row["position"]))
    return store


def make_line(numbers: random.Random) -> str:
    text = numbers.choice(TEXTS)
    if numbers.random() < 0.3:
        return text
    return json.dumps({"level": numbers.choice([*LEVELS, "TRACE", 7, None]), "message": text}, ensure_ascii=False)


def read_all(store: Store, run: str = "run") -> list[LogLine]:
    return [replace(line, number=n) for n, line in enumerate(store.lines([run], 0), 1)]


def is_wanted(line: LogLine, wanted: LineFilter) -> bool:
    forms = (wanted.text, json.dumps(wanted.text, ensure_ascii=False)[1:-1])
    return LEVELS.index(judge_level(line.text)) >= LEVELS.index(wanted.level) and any(
        form.lower() in line.text.lower() for form in forms
    )


def find_slowly(
    lines: list[LogLine],
    wanted: LineFilter,
    before: int | None = None,
    after: int | None = None,
    around: Place | None = None,
    limit: int = 1000,
) -> LogWindow:
    found = [line for line in lines if is_wanted(line, wanted)]
    if around is not None:
        if isinstance(around, datetime):
            place = next((line.position for line in lines if line.time >= around), 10**9)
        elif isinstance(around, LineNumber):
            place = next((line.position for line in lines if (line.number or 0) >= around.number), 10**9)
        else:
            place = around
        middle = sum(line.position < place for line in found)
        first, last = max(middle - limit // 2, 0), middle + limit - limit // 2
    elif after is not None:
        first = sum(line.position <= after for line in found)
        last = first + limit
    else:
        last = len(found) if before is None else sum(line.position < before for line in found)
        first = max(last - limit, 0)
    return LogWindow(tuple(found[first:last]), first > 0, last < len(found))


@pytest.mark.parametrize("limit", [1, 4, 1000] if LONG else [5])
@pytest.mark.parametrize("wanted", FILTERS, ids=lambda wanted: f"{wanted.level} {wanted.text!a}")
def test_windows_are_those_of_a_list(store: Store, wanted: LineFilter, limit: int) -> None:
    lines = read_all(store)
    assert store.find_lines("run", wanted, limit=limit) == find_slowly(lines, wanted, limit=limit)
    positions = [0, *(line.position for line in lines[::7]), lines[-1].position, 10**6]
    for position in positions:
        found = store.find_lines("run", wanted, before=position, limit=limit)
        assert found == find_slowly(lines, wanted, before=position, limit=limit)
        found = store.find_lines("run", wanted, after=position, limit=limit)
        assert found == find_slowly(lines, wanted, after=position, limit=limit)
        found = store.find_lines("run", wanted, around=position, limit=limit)
        assert found == find_slowly(lines, wanted, around=position, limit=limit)
    for seconds in (-5, 0, 1, 17, 17.5, 500):
        time = START + timedelta(seconds=seconds)
        found = store.find_lines("run", wanted, around=time, limit=limit)
        assert found == find_slowly(lines, wanted, around=time, limit=limit)
    for number in (-1, 0, 1, 2, 40, len(lines), len(lines) + 1, 10**30):
        found = store.find_lines("run", wanted, around=LineNumber(number), limit=limit)
        assert found == find_slowly(lines, wanted, around=LineNumber(number), limit=limit)


@pytest.mark.parametrize("wanted", FILTERS, ids=lambda wanted: f"{wanted.level} {wanted.text!a}")
def test_windows_in_both_directions_have_every_line_once(store: Store, wanted: LineFilter) -> None:
    expected = [line for line in read_all(store) if is_wanted(line, wanted)]
    forwards: list[LogLine] = []
    window = store.find_lines("run", wanted, after=0, limit=3)
    forwards += window.lines
    while window.has_later:
        window = store.find_lines("run", wanted, after=forwards[-1].position, limit=3)
        forwards += window.lines
    backwards: list[LogLine] = []
    window = store.find_lines("run", wanted, limit=3)
    backwards[:0] = window.lines
    while window.has_earlier:
        window = store.find_lines("run", wanted, before=backwards[0].position, limit=3)
        backwards[:0] = window.lines
    assert forwards == backwards == expected


def test_counts_are_those_of_the_windows(store: Store) -> None:
    for text in ("", "moved", "absent"):
        matching = [line for line in read_all(store) if is_wanted(line, LineFilter(text=text))]
        counted = Counter(judge_level(line.text) for line in matching)
        assert store.count_lines("run", LineFilter("ERROR", text)) == {level: counted[level] for level in LEVELS}
    assert sum(store.count_lines("run").values()) == len(read_all(store))
    assert set(store.count_lines("empty").values()) == {0}


def test_an_empty_log_has_empty_windows(store: Store) -> None:
    empty = LogWindow((), has_earlier=False, has_later=False)
    for place in (0, 5, START, LineNumber(3)):
        assert store.find_lines("empty", around=place) == empty
    assert store.find_lines("empty") == store.find_lines("absent", after=3) == empty


def test_a_window_of_long_lines_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_windows, "MAX_CHARACTERS", 5000)
    store = Store(tmp_path / "engine.sqlite")
    store.add_run("empty", "task", [], {})
    store.add_lines([("empty", "x" * length) for length in (2000, 2000, 2000, 9000, 10)])
    window = store.find_lines("empty", after=0)
    assert ([len(line.text) for line in window.lines], window.has_later) == ([2000, 2000], True)
    window = store.find_lines("empty")
    assert ([len(line.text) for line in window.lines], window.has_earlier) == ([10], True)
    window = store.find_lines("empty", before=window.lines[0].position)
    assert [len(line.text) for line in window.lines] == [9000], "a window has at least one line"


def test_windows_are_read_without_the_right_to_write(store: Store) -> None:
    reader = Store.open_read_only(store.file)
    assert reader.find_lines("run", LineFilter("ERROR", "m"), around=START) == store.find_lines(
        "run", LineFilter("ERROR", "m"), around=START
    )
    assert reader.count_lines("run") == store.count_lines("run")
    reader.close()


def test_no_statement_reads_the_lines_of_other_runs(store: Store) -> None:
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    for wanted in FILTERS:
        for place in (7, START, LineNumber(3)):
            store.find_lines("run", wanted, around=place)
        store.find_lines("run", wanted, before=9)
        store.find_lines("run", wanted, after=9)
        store.count_lines("run", wanted)
    store._db.set_trace_callback(None)
    selects = {statement for statement in statements if statement.startswith("SELECT")}
    assert len(selects) > 100
    for statement in selects:
        [plan, *others] = [row["detail"] for row in store._db.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert plan.startswith("SEARCH log_line USING"), (statement, plan)
        assert "INDEX log_line_by_run (run=?" in plan, (statement, plan)
        assert others in ([], ["USE TEMP B-TREE FOR GROUP BY"]), (statement, others)
        if "count" in statement and "instr" not in statement:
            assert "COVERING" in plan, (statement, plan)


def test_the_lines_of_an_older_store_get_their_levels(tmp_path: Path) -> None:
    file = tmp_path / "engine.sqlite"
    texts = [
        *(json.dumps({"message": "m", "level": level}) for level in LEVELS),
        *('{"level": "ERROR"}', '{"message": null, "level": "ERROR"}', '["message"]', '{"message": "cut', "plain", ""),
        *('{"message": "m", "level": "TRACE"}', ' {"message": "m", "level": "ERROR"}', '{"message": "m"}', "{" * 5000),
    ]
    step = next(number for number, text in enumerate(read_steps()) if "log_line ADD COLUMN level" in text)
    with sqlite3.connect(file) as db:
        for statement in "".join(f"{text};\n" for text in read_steps()[:step]).split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {step}")
        db.executemany("INSERT INTO log_line (run, time, text) VALUES ('r', '', ?)", ((text,) for text in texts))
    db.close()
    levels = [row["level"] for row in Store(file)._db.execute("SELECT level FROM log_line ORDER BY position")]
    assert [LEVELS[level] for level in levels] == [judge_level(text) for text in texts]
