"""The local implementations of the resources of Task states.

=====================================  ===========================================================================
``ecs:runTask``, ``.sync``             a run with its own process
``sns:publish``                        a notification in the store
``aws-sdk:s3:getObject``               the content of a file in the folder of a bucket
``states:startExecution``, ``.sync``   an execution of another workflow in the same store
``lambda:invoke``, a function's ARN    the callable that the catalog declares for the function
other resources of the catalog         the callable that the catalog declares for the resource
=====================================  ===========================================================================

A resource begins a call when the call's state is scheduled, and again when a new engine finds no end of the call in the
history. The call's token identifies what was begun before, so runs and executions start exactly once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nightferry.catalog.catalog import Catalog
from nightferry.local.integrations.executions import StartExecution
from nightferry.local.integrations.functions import FunctionCalls
from nightferry.local.integrations.objects import GetObject
from nightferry.local.integrations.resource_call import ResourceCall, ResourceHandler
from nightferry.local.integrations.tasks import EcsTasks, build_task_outcome, describe_task, find_override_problem
from nightferry.local.store import RunRecord, Store
from nightferry.local.store.retrying import retry_while_locked
from nightferry.states.language.resources import GET_OBJECT, PUBLISH, RUN_TASK, RUN_TASK_ONLY, START_EXECUTION
from nightferry.states.machine.commands import StartTask, TaskStarted, TaskSucceeded

__all__ = [
    "Integrations",
    "ResourceCall",
    "ResourceHandler",
    "build_task_outcome",
    "describe_task",
    "find_override_problem",
]


class Publish:
    """``sns:publish``: adds a notification to the store, once per token."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, call: ResourceCall) -> None:
        """See :class:`nightferry.local.integrations.resource_call.ResourceHandler`."""
        await retry_while_locked(lambda: self._publish(call))
        call.report(TaskStarted())
        call.report(TaskSucceeded({"MessageId": str(uuid.uuid4())}))

    def cancel(self, token: str, reason: str) -> None:
        """Do nothing, because a publication ends when it begins."""

    def _publish(self, call: ResourceCall) -> None:
        message = call.parameters.get("Message", "")
        text = message if isinstance(message, str) else json.dumps(message)
        topic = str(call.parameters.get("TopicArn", "")).rpartition(":")[2]
        with self._store.relaxed_durability():  # The commit of the call's success makes it durable.
            self._store.add_notification(call.token, topic, call.parameters.get("Subject"), text, call.execution)


class Integrations:
    """All resources that Task states can use in a local environment."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        state: Path,
        *,
        resolve: Callable[[Any], Any],
        launch: Callable[[RunRecord], None],
        stop: Callable[[str, str], None],
    ) -> None:
        run_task, start = EcsTasks(store, launch, stop), StartExecution(store, catalog, resolve)
        self._call, self._start = FunctionCalls(catalog, state), start
        self._named: Mapping[str, ResourceHandler] = {
            RUN_TASK: run_task,
            RUN_TASK_ONLY: run_task,
            PUBLISH: Publish(store),
            GET_OBJECT: GetObject(),
            **dict.fromkeys(START_EXECUTION, start),
        }

    async def begin(self, call: ResourceCall) -> None:
        """Begin or resume a call."""
        resource = self._find_resource(call.command)
        if resource is None:
            call.refuse(
                "States.Runtime",
                f"The local engine does not support the resource {call.command.resource}. Declare it in the catalog.",
            )
        elif call.command.resource in self._named and not isinstance(call.command.parameters, dict):
            call.refuse("States.Runtime", f"The parameters of {call.command.resource} are not an object.")
        else:
            await resource.begin(call)

    def cancel(self, name: str, token: str, reason: str) -> None:
        """Cancel a call of this resource. Its execution no longer waits for it."""
        resource = self._named.get(name, self._call)
        resource.cancel(token, reason)

    async def close(self) -> None:
        """Cancel background work. Processes of functions end; child executions stay open."""
        await self._call.calling.close()
        await self._start.watching.close()

    def _find_resource(self, command: StartTask) -> ResourceHandler | None:
        if command.resource in self._named:
            return self._named[command.resource]
        return self._call if self._call.handles(command.resource) else None
