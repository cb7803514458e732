"""Remove each statement in turn: what needs it must fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from nightferry.testing.iam.account import Failed
from nightferry.testing.iam.agent import TaskRun
from tests.permissions.day import Event
from tests.permissions.world import World

Statement = tuple[str, str]
"""A role (ARN) and the ID of one of its statements."""


@dataclass
class Removals:
    """Runs events, and repeats a run without each statement that it is the first to need.

    A statement is needed if it is the only one that allows a call. A statement of a task's roles is tried with the run
    of the task, and others, such as those of a schedule, with the event. ``failed`` and ``succeeded`` are the
    statements without which the repetition failed and succeeded.
    """

    world: World
    failed: set[Statement] = field(default_factory=set)
    succeeded: set[Statement] = field(default_factory=set)

    def run(self, event: Event) -> None:
        """Run an event and repeat its parts."""
        world, state = self.world, self.world.save()
        world.agent.around = self._repeat_run
        before = len(world.account.calls())
        event.run(world)
        world.agent.around = lambda attempt: attempt()
        self._repeat(state, self._find_needed(world.account.calls()[before:]), lambda: event.run(world))
        world.discard(state)

    def _repeat_run(self, attempt: Callable[[], TaskRun]) -> TaskRun:
        world, state = self.world, self.world.save()
        before = len(world.account.calls())
        run = attempt()
        if run.exit_code == 0:  # else the event compares its message

            def repeat() -> None:
                if attempt().exit_code != 0:
                    raise Failed

            self._repeat(state, self._find_needed(world.account.calls()[before:]), repeat)
        world.discard(state)
        return run

    def _find_needed(self, calls: Iterable[dict[str, Any]]) -> list[Statement]:
        own = f":{self.world.deployment.resources.aws.account}:"  # the vendor's role is not ours
        needed = {
            (call["role"], need["statements"][0]): None
            for call in calls
            for need in call["needs"]
            if call["allowed"] and own in call["role"] and len(need["statements"]) == 1
        }
        return [one for one in needed if one not in self.failed | self.succeeded]

    def _repeat(self, state: Any, statements: Iterable[Statement], attempt: Callable[[], object]) -> None:
        after = None
        for statement in statements:
            after = after or self.world.save()
            self.world.restore(state)
            with self.world.account.without(*statement):
                try:
                    attempt()
                    self.succeeded.add(statement)
                except Failed:
                    self.failed.add(statement)
        if after:
            self.world.restore(after)
            self.world.discard(after)
