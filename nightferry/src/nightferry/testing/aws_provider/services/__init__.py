"""The resource types by name, each implemented in the module of its service."""

from nightferry.testing.aws_provider.resource import Resource
from nightferry.testing.aws_provider.services import (
    cloudwatch,
    ecs,
    events,
    functions,
    iam,
    keys,
    logs,
    network,
    notifications,
    parameters,
    queues,
    scheduler,
    states,
    topics,
)

_MODULES = (cloudwatch, ecs, events, functions, iam, keys, logs, network, notifications, parameters, queues, scheduler,
            states, topics)  # fmt: skip

RESOURCES: dict[str, Resource] = {kind.type: kind() for module in _MODULES for kind in module.RESOURCES}
"""Implemented resource types by name."""
