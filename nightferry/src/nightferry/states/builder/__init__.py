"""Builder of workflows in Python, which are rendered to Amazon States Language."""

from nightferry.states.builder.definition import Rendered, render, render_workflow
from nightferry.states.builder.steps import (
    Body,
    Choose,
    ForEach,
    NamedTopic,
    Notify,
    Parallel,
    Retry,
    RunTask,
    Steps,
    Wait,
    When,
    iterate_values,
    runs,
)
from nightferry.states.builder.values import (
    OBJECT_VARIABLES,
    Condition,
    Format,
    Input,
    Item,
    NamedTask,
    Output,
    Value,
)
from nightferry.states.language.resources import PUBLISH, RUN_TASK

__all__ = [
    "OBJECT_VARIABLES",
    "PUBLISH",
    "RUN_TASK",
    "Body",
    "Choose",
    "Condition",
    "ForEach",
    "Format",
    "Input",
    "Item",
    "NamedTask",
    "NamedTopic",
    "Notify",
    "Output",
    "Parallel",
    "Rendered",
    "Retry",
    "RunTask",
    "Steps",
    "Value",
    "Wait",
    "When",
    "iterate_values",
    "render",
    "render_workflow",
    "runs",
]
