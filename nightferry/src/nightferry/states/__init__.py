"""Amazon States Language: parse and check definitions, run them in process, interpret them durably.

In process, with told time::

    from nightferry.states import run
    result = run(definition, {"orders": [1, 2]}, tasks={"arn:aws:states:::lambda:invoke": call})
    result.status, result.output, result.history

Durably: an :class:`Execution` is a pure machine. It says which events happened (to be written down) and which
commands are to be carried out; the executor tells it the time and what came of the commands::

    execution = Execution.start(definition, input, context=ContextInfo(…))
    step = execution.advance(now)            # write step.events down, then carry out step.commands
    execution.deliver(token, TaskSucceeded(output), now)
    step = execution.advance(now)            # … until execution.ended; wake it at execution.next_wakeup

    execution = Execution.replay(definition, events, context=…)   # after a crash
    execution.pending_tasks                  # these may still run: deliver what became of them, or start them again

Keep events in the order in which they were made: ids are unique only together with ``event.child``, because child
executions of a distributed Map have histories of their own. A ``CancelTask`` may be lost in a crash: after a replay,
a task that still runs and is not among ``pending_tasks`` is to be stopped.
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

__all__ = [
    "CancelTask",
    "Command",
    "ContextInfo",
    "Definition",
    "Execution",
    "HistoryEvent",
    "InvalidDefinition",
    "InvalidInput",
    "ListedObject",
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
