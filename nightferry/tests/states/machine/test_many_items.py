"""Test that an item of a Map needs the same steps however many other items there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nightferry.states import Execution
from nightferry.states.machine.memory.frames import Frame

NOW = datetime(2026, 12, 1, tzinfo=UTC)
BRANCHES = [{"StartAt": name, "States": {name: {"Type": "Wait", "Seconds": 60, "End": True}}} for name in "AB"]
ITEM = {"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "Branches": BRANCHES, "End": True}}}
DEFINITION = {"StartAt": "Map", "States": {"Map": {"Type": "Map", "ItemProcessor": ITEM, "End": True}}}


class CountingFrames(dict[str, Frame]):
    """Frames that count how many of them were read."""

    reads = 0

    def get(self, *arguments: Any) -> Any:
        self.reads += 1
        return super().get(*arguments)

    def items(self) -> Any:
        self.reads += len(self)
        return super().items()


def test_the_descendants_of_an_item_are_found_without_the_frames_of_other_items() -> None:
    def count(items: int) -> int:
        execution = Execution.start(DEFINITION, list(range(items)), now=NOW)
        execution.advance(NOW)
        memory = execution.memory
        memory.frames = frames = CountingFrames(memory.frames)
        assert [frame.key for frame in memory.list_descendants(frames["/3"])] == ["/3/0", "/3/1"]
        return frames.reads

    assert count(200) == count(10)


def test_the_descendants_of_a_map_include_those_of_its_items() -> None:
    execution = Execution.start(DEFINITION, [1, 2], now=NOW)
    execution.advance(NOW)
    memory = execution.memory
    keys = [frame.key for frame in memory.list_descendants(memory.root)]
    assert keys == ["/0", "/0/0", "/0/1", "/1", "/1/0", "/1/1"]
    assert set(keys) == memory.frames.keys() - {""}
