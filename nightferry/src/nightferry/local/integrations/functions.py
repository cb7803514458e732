"""``lambda:invoke``, function ARNs and resources declared in the catalog, each implemented by a Python callable.

A callable runs in its own process, so that it can be stopped, is isolated from the engine, and dies with it. After an
engine was killed, the next engine repeats its unfinished calls. Callables must be idempotent, as on AWS.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from nightferry.catalog.catalog import Catalog
from nightferry.local.integrations.resource_call import Background, ResourceCall
from nightferry.local.processes.processes import build_base_environment, kill_group, kill_with_parent
from nightferry.states.language.resources import INVOKE
from nightferry.states.machine.commands import Outcome, TaskFailed, TaskStarted, TaskSucceeded


class FunctionCalls:
    """Calls of the callables declared in the catalog."""

    def __init__(self, catalog: Catalog, state: Path) -> None:
        self._catalog = catalog
        self._state = state
        self.calling = Background()

    def handles(self, resource: str) -> bool:
        """Return True if a callable implements the resource."""
        return resource == INVOKE or resource in self._catalog.resources or ":function:" in resource

    async def begin(self, call: ResourceCall) -> None:
        """See :class:`nightferry.local.integrations.resource_call.ResourceHandler`."""
        resource, argument = call.command.resource, call.command.parameters
        declared = self._catalog.resources.get(resource)
        if declared is not None:
            target = declared.local
        else:
            name = _get_function_name(call)
            function = self._catalog.functions.get(name)
            if function is None:
                known = ", ".join(sorted(self._catalog.functions)) or "none"
                call.refuse(
                    "Lambda.ResourceNotFoundException",
                    f"Function '{name}' not found in the catalog. Available: {known}.",
                )
                return
            target = function.local
            if resource == INVOKE:
                argument = call.parameters.get("Payload", {})
        call.report(TaskStarted())
        self.calling.begin(call, self._run_process(call, target, argument))

    def cancel(self, token: str, reason: str) -> None:
        """See :class:`nightferry.local.integrations.resource_call.ResourceHandler`."""
        del reason
        self.calling.cancel(token)

    async def _run_process(self, call: ResourceCall, target: str, argument: Any) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "nightferry.local.integrations.call",
            target,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # The output may contain personal data and is not redacted.
            env=build_base_environment(self._state),
            cwd=self._state,
            start_new_session=True,
            preexec_fn=kill_with_parent(os.getpid()),
        )
        try:
            response, _ = await process.communicate(json.dumps(argument).encode())
        finally:
            kill_group(process.pid, 0)
            await process.wait()
        call.report(_parse_outcome(call.command.resource, response, process.returncode))


def _get_function_name(call: ResourceCall) -> str:
    """Return the function's name, taken from its ARN, with or without a qualifier, or from ``FunctionName``."""
    named = call.command.resource
    if named == INVOKE:
        named = str(call.parameters.get("FunctionName", ""))
    return named.partition(":function:")[2].partition(":")[0] if ":function:" in named else named.partition(":")[0]


def _parse_outcome(resource: str, response: bytes, code: int | None) -> Outcome:
    try:
        result = json.loads(response)
        if "errorType" not in result:
            output = result["output"]
    except (ValueError, KeyError, TypeError, RecursionError):
        end = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return TaskFailed("Lambda.Unknown", f"The callable's process ended without a result ({end}).")
    if "errorType" in result:
        return TaskFailed(result["errorType"], json.dumps(result))
    if resource == INVOKE:
        return TaskSucceeded({"ExecutedVersion": "$LATEST", "Payload": output, "StatusCode": 200})
    return TaskSucceeded(output)
