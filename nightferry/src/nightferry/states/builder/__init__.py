"""Builder of workflows in Python, which are rendered to Amazon States Language."""

from nightferry.states.builder.definition import render
from nightferry.states.builder.steps import (
    Body,
    Choose,
    ForEach,
    NamedTask,
    NamedTopic,
    Notify,
    Parallel,
    Retry,
    RunTask,
    Steps,
    Wait,
    When,
    runs,
)
from nightferry.states.language.resources import PUBLISH, RUN_TASK

__all__ = [
    "PUBLISH",
    "RUN_TASK",
    "Body",
    "Choose",
    "ForEach",
    "NamedTask",
    "NamedTopic",
    "Notify",
    "Parallel",
    "Retry",
    "RunTask",
    "Steps",
    "Wait",
    "When",
    "render",
    "runs",
]
