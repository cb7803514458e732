"""Records of what people did: who requested which action, on what and why, and its result.

A record has two parts. The request is written before the action and the result after it. A request without a result
means that its process ended in between, and that the action may or may not have happened. Parts are only added.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, get_args

from nightferry.backend.queries import Cursor, Page

ActionName = Literal[
    "run",
    "run-again",
    "start",
    "stop",
    "redrive",
    "redrive-run",
    "retry-group",
    "retry-starts",
    "backfill",
    "catch-up",
    "rollback",
    "test-notice",
]
"""``run-again`` starts a run with changed inputs, ``redrive-run`` repeats a failed one with the same. ``retry-group``
repeats all failed runs with one cause, and ``retry-starts`` the failed starts in a queue."""

ACTION_NAMES: tuple[ActionName, ...] = get_args(ActionName)

Via = Literal["cli", "dashboard", "aws"]
"""Where an action was requested. ``aws``: read from AWS, which does not keep it."""


@dataclass(frozen=True)
class ActionResult:
    """The result of an action: whether it failed, what happened in words, and the IDs that it started or changed."""

    action: str
    time: datetime
    failed: bool
    text: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Action:
    """What a person requested. ``target`` is the ID of a run or execution, or the name of a declaration.

    ``result`` is None if its process ended before the result was written. ``reason`` and the text of the result are
    redacted.
    """

    id: str
    time: datetime
    author: str
    action: ActionName
    target: str
    reason: str
    via: Via
    result: ActionResult | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """The target and the IDs of the result, by each of which a filter finds the action."""
        return tuple(dict.fromkeys((self.target, *(self.result.ids if self.result else ()))))


@dataclass(frozen=True)
class ActionFilter:
    """The actions that a query is for; None includes all. ``since`` is inclusive and ``until`` exclusive.

    ``id`` is the target, or the ID of a run or execution that the action started or changed.
    """

    author: str | None = None
    action: ActionName | None = None
    id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, action: Action) -> bool:
        """Return True if an action is one of the filter's."""
        return (
            self.author in (None, action.author)
            and self.action in (None, action.action)
            and (self.id is None or self.id in action.subjects)
            and (self.since is None or action.time >= self.since)
            and (self.until is None or action.time < self.until)
        )


ALL_ACTIONS = ActionFilter()


class ActionLog(Protocol):
    """The place to which actions are written."""

    def add_action(self, action: Action) -> None:
        """Write a request, durably."""
        ...

    def add_action_result(self, result: ActionResult) -> None:
        """Write the result of a request, durably."""
        ...


def format_stop_reason(reason: str, author: str, longest: int) -> str:
    """Return the reason of a stop with its author, who remains in a shortened text."""
    by = f" (by {author})" if author else ""
    return f"{reason[: longest - len(by)]}{by}"


def parse_stop_author(reason: str | None) -> str:
    """Return the author in the reason of a stop; empty if it has none."""
    found = re.search(r" \(by ([^()]+)\)$", reason or "")
    return found[1] if found else ""


def make_page(actions: list[Action], limit: int) -> Page[Action]:
    """Return the first ``limit`` of some actions that are ordered, with the place after them if there are more."""
    shown = actions[:limit]
    more = len(actions) > limit
    return Page(tuple(shown), Cursor(shown[-1].time, shown[-1].id) if more and shown else None)
