"""Longshore: declare background jobs once; run them on one machine, deploy them to AWS as Terraform."""

from longshore.catalog import Catalog
from longshore.declarations import (
    Bucket,
    CommandService,
    Image,
    ObjectTrigger,
    PostgresService,
    Role,
    Schedule,
    Secret,
    Setting,
    Task,
    Topic,
    Workflow,
)
from longshore.fargate import Size

__all__ = [
    "Bucket",
    "Catalog",
    "CommandService",
    "Image",
    "ObjectTrigger",
    "PostgresService",
    "Role",
    "Schedule",
    "Secret",
    "Setting",
    "Size",
    "Task",
    "Topic",
    "Workflow",
]
