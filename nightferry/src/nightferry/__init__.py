"""Nightferry: declare background jobs once, run them on one machine, and deploy them to AWS with Terraform."""

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import (
    Bucket,
    BucketPath,
    CommandService,
    Function,
    Grant,
    Image,
    Integration,
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
from nightferry.catalog.fargate import Size

__all__ = [
    "Bucket",
    "BucketPath",
    "Catalog",
    "CommandService",
    "Function",
    "Grant",
    "Image",
    "Integration",
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
