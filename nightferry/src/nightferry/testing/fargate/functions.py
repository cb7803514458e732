"""Calls of the callables that a catalog declares for its functions and integrations, in this process."""

from __future__ import annotations

import importlib
import json
from typing import Any

from nightferry.environments.aws_resources import AwsResources
from nightferry.states import StatesError
from nightferry.states.language.resources import INVOKE
from nightferry.states.machine.commands import Outcome, TaskFailed, TaskSucceeded


def call_function(resources: AwsResources, resource: str, parameters: Any) -> Outcome:
    """Return the outcome of a state with this resource: a function's ARN, ``lambda:invoke``, or an integration."""
    catalog, settings = resources.catalog, resources.environment.settings
    targets = {name: declared.local for name, declared in catalog.resources.items()}
    targets |= {settings[function.arn.name]: function.local for function in catalog.functions.values()}
    name, argument = resource, parameters
    if resource == INVOKE:
        name, argument = parameters["FunctionName"], parameters.get("Payload", {})
    if name not in targets:
        return TaskFailed("Lambda.ResourceNotFoundException", f"The catalog declares no callable for {name}.")
    module, _, function = targets[name].partition(":")
    try:
        output = getattr(importlib.import_module(module), function)(json.loads(json.dumps(argument)))
    except StatesError as error:
        return TaskFailed(error.error, error.cause)
    except Exception as error:
        return TaskFailed(type(error).__name__, json.dumps({"errorType": type(error).__name__}))
    if resource == INVOKE:
        return TaskSucceeded({"ExecutedVersion": "$LATEST", "Payload": output, "StatusCode": 200})
    return TaskSucceeded(output)
