"""Nightferry: declare background jobs once, run them on one machine, and deploy them to AWS with Terraform.

All names for jobs and catalogs are in this module. Each is imported when it is first used: declarations need neither
pydantic nor the interpreter of workflows, and a command imports this module before it can handle Ctrl-C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from nightferry.catalog.reports import Reason, RejectedRecords, ReportKind
    from nightferry.contract import ExitCode, Privacy, ReasonCount
    from nightferry.errors import NightferryError
    from nightferry.job import (
        BackgroundTask,
        BadSettings,
        HasDatabase,
        JobFailed,
        JobSettings,
        Progress,
        Run,
        Stopped,
        TimeLimitReached,
        background_task,
        describe_error,
        get_database_message,
        get_logger,
        redact,
        redact_value,
    )
    from nightferry.states.builder import (
        OBJECT_VARIABLES,
        Body,
        Choose,
        Condition,
        ForEach,
        Format,
        Input,
        Item,
        Notify,
        Output,
        Parallel,
        Retry,
        RunTask,
        Steps,
        Value,
        Wait,
        When,
    )
else:
    # Type checkers must not see this function, because they would accept any name of this module.
    def __getattr__(name: str) -> object:
        """Import a name when it is first used."""
        import importlib

        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = next((module for module, names in _MODULES.items() if name in names), "nightferry.job")
        globals()[name] = value = getattr(importlib.import_module(module), name)
        return value


_MODULES = {
    "nightferry.catalog.catalog": {"Catalog"},
    "nightferry.catalog.declarations": {
        *("Bucket", "BucketPath", "CommandService", "Function", "Grant", "Image", "Integration", "ObjectTrigger"),
        *("PostgresService", "Role", "Schedule", "Secret", "Setting", "Task", "Topic", "Workflow"),
    },
    "nightferry.catalog.fargate": {"Size"},
    "nightferry.catalog.reports": {"Reason", "RejectedRecords", "ReportKind"},
    "nightferry.contract": {"ExitCode", "Privacy", "ReasonCount"},
    "nightferry.errors": {"NightferryError"},
    "nightferry.states.builder": {
        *("OBJECT_VARIABLES", "Body", "Choose", "Condition", "ForEach", "Format", "Input", "Item", "Notify", "Output"),
        *("Parallel", "Retry", "RunTask", "Steps", "Value", "Wait", "When"),
    },
}
"""The names of each module; all others are in ``nightferry.job``."""

__all__ = [
    "OBJECT_VARIABLES",
    "BackgroundTask",
    "BadSettings",
    "Body",
    "Bucket",
    "BucketPath",
    "Catalog",
    "Choose",
    "CommandService",
    "Condition",
    "ExitCode",
    "ForEach",
    "Format",
    "Function",
    "Grant",
    "HasDatabase",
    "Image",
    "Input",
    "Integration",
    "Item",
    "JobFailed",
    "JobSettings",
    "NightferryError",
    "Notify",
    "ObjectTrigger",
    "Output",
    "Parallel",
    "PostgresService",
    "Privacy",
    "Progress",
    "Reason",
    "ReasonCount",
    "RejectedRecords",
    "ReportKind",
    "Retry",
    "Role",
    "Run",
    "RunTask",
    "Schedule",
    "Secret",
    "Setting",
    "Size",
    "Steps",
    "Stopped",
    "Task",
    "TimeLimitReached",
    "Topic",
    "Value",
    "Wait",
    "When",
    "Workflow",
    "background_task",
    "describe_error",
    "get_database_message",
    "get_logger",
    "redact",
    "redact_value",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
