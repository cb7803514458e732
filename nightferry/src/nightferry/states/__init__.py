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
