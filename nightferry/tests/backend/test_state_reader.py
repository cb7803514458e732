"""Test the states and items that are read from events in parts: paths, items, attempts, data and the cache."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.backend.states.cache import StateCache
from nightferry.backend.states.data import make_state_data
from nightferry.backend.states.map_columns import find_key
from nightferry.backend.states.reader import StateReader
from nightferry.backend.states.values import ITEM_STATUSES
from nightferry.contract import Privacy
from nightferry.job.redaction import Redactor
from nightferry.states import ContextInfo, Execution, HistoryEvent
from nightferry.testing.tiers import examples
from tests.aws.executions.test_history import machine, run
from tests.states.definitions import definitions
from tests.states.driver import START, drive


def keep(value: Any, _: str) -> Any:
    return value


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(definitions(), st.data())
def test_events_in_parts_lead_to_the_same_states_each_once(definition: dict[str, Any], data: st.DataObject) -> None:
    execution = Execution.start(definition, {}, context=ContextInfo(start_time=START), now=START)
    history = drive(execution).history
    whole = StateReader()
    whole.add(history)
    parts = StateReader()
    cut = data.draw(st.integers(0, len(history)))
    parts.add(history[:cut])
    parts.add(history[cut:])

    states = whole.list_states()
    assert parts.list_states() == states
    entered = [event for event in history if event.type.endswith("StateEntered")]
    assert [(one.name, one.entered_at) for one in states] == [
        ((event.details or {})["name"], event.timestamp) for event in entered
    ]
    assert len({(one.path, one.visit) for one in states}) == len(states)
    for items in whole.list_maps():
        assert sum(items.count().values()) == len(items)
        assert items.count()["running"] == 0, "the execution has ended"
    for state in states:
        found = whole.find_state(state.path, state.visit)
        assert found is not None
        read = make_state_data(found[0], [history[position] for position in found[1]])
        assert len(read.attempts) == state.attempts
        assert read.events[0].type == f"{state.type}StateEntered"
        assert (read.events[0].details or {})["name"] == state.name


@settings(max_examples=examples(15), deadline=None)
@given(body=st.lists(st.sampled_from(["task", "fails", "caught"]), min_size=1, max_size=2), redrives=st.integers(0, 2))
def test_items_that_failed_or_were_stopped_continue_after_a_redrive(body: list[str], redrives: int) -> None:
    execution = run(machine([("map", 3, 2, body, {})]), redrives)
    reader = StateReader()
    reader.add(execution.history)
    [items] = reader.list_maps()
    counts = items.count()
    assert sum(counts.values()) == 3
    assert (counts["succeeded"] == 3) == (execution.status == "SUCCEEDED")
    assert counts["running"] == 0


def test_a_path_names_the_item_and_an_item_its_key() -> None:
    definition = {
        "StartAt": "each",
        "States": {
            "each": {
                "Type": "Map",
                "QueryLanguage": "JSONata",
                "Items": [{"key": "in/a.csv", "size": 4}, {"ssn": "123-45-6789"}, "b", {"id": "123-45-6789"}],
                "ItemProcessor": {"StartAt": "load", "States": {"load": {"Type": "Pass", "End": True}}},
                "End": True,
            }
        },
    }
    execution = Execution.start(definition, {}, context=ContextInfo(start_time=START), now=START)
    execution.advance(START)
    reader = StateReader(Redactor(Privacy.STRICT).redact_value)
    reader.add(execution.history)
    states = reader.list_states()
    assert [state.path for state in states] == ["each", *(f"each[{n}] / load" for n in range(4))]
    assert [state.key for state in states[1:3]] == ["in/a.csv", None]
    assert "6789" not in str([state.key for state in states])
    assert [state.index for state in states] == [None, 0, 1, 2, 3]
    assert len(reader.list_states(largest_map=3)) == 1
    found = reader.find_map("each", 1)
    assert found is not None
    items = found.copy()
    assert (len(items), items.total, items[2].key, items[2].status) == (4, 4, "b", "succeeded")
    assert set(items.counts) == set(ITEM_STATUSES)


def test_the_name_of_an_item_is_a_readable_field() -> None:
    assert find_key('{"Items": [{"Key": "x/1"}, {"Key": "x/2"}, {"Key": "x/3"}]}', keep) == "x/1 + 2 more"
    assert find_key('{"employer_id": 7, "rows": 3}', keep) == "7"
    assert find_key('{"a": {"b": 1}}', keep) is None
    assert find_key("true", keep) is None
    assert find_key("not JSON", keep) is None
    assert find_key("[" * 5000, keep) is None


def test_a_further_view_reads_only_new_events_and_others_are_dropped() -> None:
    history = [HistoryEvent(1, 0, "ExecutionStarted", START)]
    for n in range(2, 12):
        entered = HistoryEvent(n, n - 1, "PassStateEntered", START + timedelta(seconds=n), {"name": f"S{n}"})
        history.append(entered)
    asked: list[int] = []

    def read_after(known: int) -> Sequence[HistoryEvent]:
        asked.append(known)
        return history[known : known + 6]

    cache = StateCache(limit=20)
    for expected in (5, 10):
        with cache.read("a", read_after, keep) as states:
            assert len(states.list_states()) == expected
    assert asked == [0, 6]
    for other in ("b", "c", "d"):
        with cache.read(other, read_after, keep):
            pass
    assert len(cache) == 3  # of 11, 6 and 6 events, the first was dropped
    with cache.read("a", read_after, keep):
        assert asked[-1] == 0


def test_threads_share_the_states_of_an_execution() -> None:
    history = [HistoryEvent(n, n - 1, "PassStateEntered", START, {"name": f"S{n}"}) for n in range(1, 2001)]
    cache = StateCache()
    counts: list[int] = []

    def view() -> None:
        for end in range(500, 2001, 500):
            with cache.read("a", lambda known, end=end: history[known:end], keep) as states:  # type: ignore[misc]
                found = [one.name for one in states.list_states()]
            assert found == [f"S{n}" for n in range(1, len(found) + 1)]
        counts.append(len(found))

    threads = [threading.Thread(target=view) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [2000] * 4
