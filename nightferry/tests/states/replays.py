"""Comparison of a replayed execution with the live one, field by field."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from nightferry.states import ContextInfo, Execution
from nightferry.states.data.payload import Payload
from nightferry.states.language.model import Program, State
from nightferry.states.machine.memory.frames import Frame
from nightferry.states.machine.memory.memory import Memory

START = datetime.fromisoformat("2026-11-24T00:00:00+00:00")
INFO = ContextInfo(execution_id="arn:aws:states:us-east-1:000000000000:execution:m:e", start_time=START)


def check_replay(definition: dict[str, Any], live: Execution) -> None:
    """Check that after an advance, a replay has no new events and equals the live execution."""
    copy = Execution.replay(definition, list(live.history), context=INFO)
    assert copy.advance(live.now).events == []
    assert snapshot(copy) == snapshot(live)


def redrive_both(definition: dict[str, Any], live: Execution) -> None:
    """Redrive an execution that did not succeed, and its replay."""
    copy = Execution.replay(definition, list(live.history), context=INFO)
    for execution in (copy, live):
        execution.redrive(live.now + timedelta(seconds=1))
    assert snapshot(copy) == snapshot(live)


def snapshot(execution: Execution) -> dict[str, Any]:
    """Return every field of the memory and of all values reachable from it."""
    memory = execution.memory
    values = {field.name: _plain(getattr(memory, field.name), memory) for field in fields(memory)}
    # Obsolete timers are skipped when they are due, and their number depends on the past, so they are left out.
    values["timers"] = sorted({timer for timer in memory.timers if memory.is_active(timer)})
    values["tokens"] = {token: frame.key for token, frame in memory.tokens.items()}
    assert all(memory.frames[frame.key] is frame for frame in memory.tokens.values())
    return values


def _plain(value: Any, memory: Memory) -> Any:
    match value:
        case Payload():
            return value.text
        case State():
            return value.name
        case Program():
            return value.start, sorted(value.states)
        case Frame():
            parent = value.parent
            assert parent is None or memory.ended or memory.frames.get(parent.key, parent) is parent
            others = [field.name for field in fields(value) if field.name != "parent"]
            return {name: _plain(getattr(value, name), memory) for name in others} | {
                "parent": value.parent and value.parent.key
            }
        case dict():
            return {key: _plain(item, memory) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, memory) for item in value]
        case _ if is_dataclass(value):
            return {field.name: _plain(getattr(value, field.name), memory) for field in fields(value)}
        case Enum():
            return value.name
        case _:
            return value
