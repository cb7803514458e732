"""Test the table of actions: append-only, pages, filters, plans and pruning."""

from __future__ import annotations

import itertools
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightferry.backend.actions import Action, ActionFilter, ActionName, ActionResult
from nightferry.backend.queries import Cursor
from nightferry.local.store import Store

START = datetime(2026, 11, 1, tzinfo=UTC)
NAMES: tuple[ActionName, ...] = ("run", "stop", "redrive")


def make(n: int, numbers: random.Random) -> Action:
    id, time = f"{numbers.getrandbits(64):016x}", START + timedelta(minutes=n // 3)
    ids = tuple(numbers.sample(["r1", "r2", "r3"], numbers.randrange(3)))
    result = ActionResult(id, time + timedelta(seconds=1), numbers.random() < 0.3, "done", ids)
    author, name, target = numbers.choice(["ann", "bob"]), numbers.choice(NAMES), numbers.choice(["dor", "r1"])
    return Action(id, time, author, name, target, "because", "cli", result if n % 5 else None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "engine.sqlite")


@pytest.fixture
def actions(store: Store) -> list[Action]:
    """Return actions that were added to the store, newest first."""
    return add_actions(store)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Action]]:
    """Return a store for queries, which change nothing, with its actions, newest first."""
    store = Store(tmp_path_factory.mktemp("filled") / "engine.sqlite")
    return store, add_actions(store)


def add_actions(store: Store) -> list[Action]:
    numbers = random.Random(5)
    made = [make(n, numbers) for n in range(120)]
    with store.transaction():
        for action in made:
            store.add_action(action)
            if action.result is not None:
                store.add_action_result(action.result)
    return sorted(made, key=lambda one: (one.time, one.id), reverse=True)


FILTERS = [
    ActionFilter(author, name, id, since, until)
    for author, name, id, since, until in itertools.product(
        (None, "ann"),
        (None, "stop"),
        (None, "r1"),
        (None, START + timedelta(minutes=10)),
        (None, START + timedelta(minutes=30)),
    )
]


@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_pages_have_each_action_of_a_filter_once(filled: tuple[Store, list[Action]], number: int) -> None:
    store, actions = filled
    wanted = FILTERS[number]
    found: list[Action] = []
    before: Cursor | None = None
    while True:
        page = store.actions(wanted, before=before, limit=7)
        found += page
        if page.next is None:
            break
        before = page.next
    assert found == [one for one in actions if wanted.matches(one)]


@pytest.mark.parametrize("number", range(len(FILTERS)))
@pytest.mark.parametrize("paged", [False, True])
def test_no_query_reads_a_whole_table(
    filled: tuple[Store, list[Action]], number: int, paged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, actions = filled
    plans: list[str] = []
    execute = store._db.execute

    class Explaining:
        in_transaction = False

        def execute(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
            plans.extend(row["detail"] for row in execute(f"EXPLAIN QUERY PLAN {statement}", values))
            return execute(statement, values)

    monkeypatch.setattr(store, "_db", Explaining())
    store.actions(FILTERS[number], before=Cursor(actions[3].time, actions[3].id) if paged else None)
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN") or "TEMP B-TREE" in plan]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE action SET author = 'eve'",
        "UPDATE action_result SET failed = 0",
        "UPDATE action_subject SET subject = 'x'",
        "DELETE FROM action_result",
        "DELETE FROM action_subject",
        "DELETE FROM action",
        "INSERT OR REPLACE INTO action SELECT id, time, 'eve', action, target, reason, via FROM action",
        "INSERT OR REPLACE INTO action_result SELECT action, time, 0, text, ids FROM action_result",
    ],
)
def test_no_statement_changes_or_deletes_an_action(store: Store, actions: list[Action], statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        store._db.execute(statement)
    assert list(store.actions(limit=1000)) == actions


def test_retention_removes_only_what_is_older(store: Store, actions: list[Action]) -> None:
    before = START + timedelta(minutes=36)
    assert store.prune_actions(before) == 100, "one batch"
    while store.prune_actions(before):
        pass
    assert list(store.actions(limit=1000)) == [one for one in actions if one.time >= before]
    assert store._db.execute("SELECT count(*) FROM action_pruning").fetchone()[0] == 0
    with pytest.raises(sqlite3.IntegrityError):
        store._db.execute("DELETE FROM action")
