"""Amazon States Language: parse and check definitions, run them in process, and interpret them durably.

In process, in virtual time::

    from nightferry.states import run
    result = run(definition, {"orders": [1, 2]}, tasks={"arn:aws:states:::lambda:invoke": call})
    result.status, result.output, result.history

Durably: an :class:`Execution` is a pure state machine. It returns events, which the executor must store, and commands,
which the executor must execute. The executor passes it the time and the outcomes of the commands::

    execution = Execution.start(definition, input, context=ContextInfo(…))
    step = execution.advance(now)            # store step.events, then execute step.commands
    execution.deliver(token, TaskSucceeded(output), now)
    step = execution.advance(now)            # … until execution.ended; call it at execution.next_wakeup

    execution = Execution.replay(definition, events, context=…)   # after a crash
    execution.pending_tasks                  # these may still run: deliver their outcomes, or start them again

Store events in the order in which they were created. Their IDs are unique only together with ``event.child``, because
each child execution of a distributed Map has its own history. A crash can lose a ``CancelTask``: after a replay, stop
every running task that is not in ``pending_tasks``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightferry.states.data.errors import (
        InvalidDefinition,
        InvalidInput,
        NotRedrivable,
        Problem,
        StatesError,
        UnknownResource,
    )
    from nightferry.states.language.model import Definition
    from nightferry.states.language.parser import parse, validate
    from nightferry.states.local_run import Result, run
    from nightferry.states.machine.commands import (
        CancelTask,
        Command,
        Outcome,
        ReadItems,
        StartTask,
        TaskFailed,
        TaskHeartbeat,
        TaskStarted,
        TaskSubmitted,
        TaskSucceeded,
        TaskTimedOut,
        WriteResults,
    )
    from nightferry.states.machine.context import ContextInfo
    from nightferry.states.machine.history import HistoryEvent
    from nightferry.states.machine.interpreter import Execution
    from nightferry.states.machine.items import ListedObject, ObjectStore
    from nightferry.states.machine.machine import Step
    from nightferry.states.machine.outcomes import PendingTask
    from nightferry.states.task_results import InvalidResults, NoResultLeft
else:
    # Type checkers must not see this function, because they would accept any name of this module.
    def __getattr__(name: str) -> object:
        """Import a name when it is first used."""
        import importlib

        module = next((module for module, names in _MODULES.items() if name in names), None)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value = getattr(importlib.import_module(module), name)
        return value


_MODULES = {
    "nightferry.states.data.errors": {
        *("InvalidDefinition", "InvalidInput", "NotRedrivable", "Problem", "StatesError", "UnknownResource"),
    },
    "nightferry.states.language.model": {"Definition"},
    "nightferry.states.language.parser": {"parse", "validate"},
    "nightferry.states.local_run": {"Result", "run"},
    "nightferry.states.machine.commands": {
        *("CancelTask", "Command", "Outcome", "ReadItems", "StartTask", "TaskFailed", "TaskHeartbeat"),
        *("TaskStarted", "TaskSubmitted", "TaskSucceeded", "TaskTimedOut", "WriteResults"),
    },
    "nightferry.states.machine.context": {"ContextInfo"},
    "nightferry.states.machine.history": {"HistoryEvent"},
    "nightferry.states.machine.interpreter": {"Execution"},
    "nightferry.states.machine.items": {"ListedObject", "ObjectStore"},
    "nightferry.states.machine.machine": {"Step"},
    "nightferry.states.machine.outcomes": {"PendingTask"},
    "nightferry.states.task_results": {"InvalidResults", "NoResultLeft"},
}
"""The names of each module, which is imported when one of them is first used: catalogs need the builder only."""

__all__ = [
    "CancelTask",
    "Command",
    "ContextInfo",
    "Definition",
    "Execution",
    "HistoryEvent",
    "InvalidDefinition",
    "InvalidInput",
    "InvalidResults",
    "ListedObject",
    "NoResultLeft",
    "NotRedrivable",
    "ObjectStore",
    "Outcome",
    "PendingTask",
    "Problem",
    "ReadItems",
    "Result",
    "StartTask",
    "StatesError",
    "Step",
    "TaskFailed",
    "TaskHeartbeat",
    "TaskStarted",
    "TaskSubmitted",
    "TaskSucceeded",
    "TaskTimedOut",
    "UnknownResource",
    "WriteResults",
    "parse",
    "run",
    "validate",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
