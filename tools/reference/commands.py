"""The page about the commands, from their help texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import typer.main

from nightferry.cli.app import app
from nightferry.cli.run.run_ecs_task import app as run_ecs_task
from nightferry.cli.terminal.options import VARIABLES
from tools.reference.markdown import Section, mark_options, page, sentence, split_default

GUIDES: Mapping[str, tuple[str, str]] = {
    "init": ("Getting started", "../getting-started.md#create-a-project"),
    "new-environment": ("Environment files", "environments.md"),
    "run": ("Running tasks", "../running-tasks.md"),
    "start": ("Workflows", "../workflows.md"),
    "up": ("The local engine", "../local-engine.md"),
    "backfill": ("Backfill", "../schedule-tools.md#backfill"),
    "redrive": ("Put a failed run right", "../repair.md"),
    "stop": ("Stop", "../repair.md#stop"),
    "dashboard": ("The dashboard", "../dashboard.md"),
    "status": ("Running tasks", "../running-tasks.md#steps-of-a-run"),
    "logs": ("Logs", "../logs.md"),
    "tasks": ("Writing a job", "../jobs.md"),
    "workflows": ("Workflows", "../workflows.md"),
    "notifications": ("Notices to people", "../notifications.md"),
    "schedules": ("Schedules and object triggers", "../schedules-and-triggers.md"),
    "triggers": ("Object triggers", "../schedules-and-triggers.md#object-triggers"),
    "starts": ("Schedules and object triggers", "../schedules-and-triggers.md"),
    "next": ("Expressions", "../schedules-and-triggers.md#expressions"),
    "simulate": ("Simulation", "../schedule-tools.md#simulation"),
    "costs": ("What a month costs", "../schedule-tools.md#what-a-month-costs"),
    "doctor": ("Everyday tools", "../everyday-tools.md#nightferry-doctor-what-is-missing-on-this-machine"),
    "services": ("Everyday tools", "../everyday-tools.md#nightferry-services-addresses-of-the-local-services"),
    "databases": (
        "Everyday tools",
        "../everyday-tools.md#nightferry-databases-where-local-databases-are-and-how-to-remove-them",
    ),
    "env": ("Everyday tools", "../everyday-tools.md#nightferry-env-task-a-task-in-a-debugger"),
    "secrets": ("Everyday tools", "../everyday-tools.md#nightferry-secrets-store-secrets"),
    "states": ("Amazon States Language", "../states.md"),
    "run-ecs-task": ("Running tasks", "../running-tasks.md"),
}
"""The page that explains each verb."""

_TYPES = {str: "TEXT", int: "NUMBER", float: "NUMBER"}
COMMON = {"help", "install_completion", "show_completion"}


def render() -> str:
    """Return the page."""
    return page(
        "Commands",
        "Every verb of `nightferry`, and the command `run-ecs-task`, with its arguments, options, defaults and exit "
        "codes. The same texts are printed by `--help`.",
        "the help texts of the commands",
        _sections(),
        [
            "[Getting started](../getting-started.md): the commands in the order in which a new project needs them.",
            "[Running tasks](../running-tasks.md): how to start and follow a run.",
            "[Environment files](environments.md): the files that `--env` names.",
        ],
    )


def _sections() -> Iterator[Section]:
    group: Any = typer.main.get_command(app)
    common = Section("All commands")
    common.text(
        "A command searches the project in the current folder and the folders above it. Its result is on standard "
        "output, messages are on standard error. `-h` or `--help` prints the help of each verb."
    )
    context = group.make_context("nightferry", [], resilient_parsing=True)
    common.table(("Option", "Meaning"), [(_name(one), sentence(one.help)) for one in group.get_params(context)])
    yield common
    yield _environment_variables()
    yield _exit_codes()
    panel = ""
    for verb in group.commands.values():
        if verb.rich_help_panel != panel:
            panel = verb.rich_help_panel
            yield Section(panel)
        yield from describe(f"nightferry {verb.name}", verb.load(), GUIDES.get(verb.name))
    for section in describe("run-ecs-task", typer.main.get_command(run_ecs_task), GUIDES["run-ecs-task"]):
        section.level = 2
        yield section


def _environment_variables() -> Section:
    section = Section("Environment variables")
    section.table(("Variable", "Meaning"), [(f"`{name}`", sentence(text)) for name, text in VARIABLES.items()])
    return section


def _exit_codes() -> Section:
    section = Section("Exit codes")
    section.text(
        "A command that follows a run or an execution exits with its code. The other commands exit with 0, or with one "
        "of the codes 1, 2, 126, 130 and 141 of [all exit codes](job-settings.md#exit-codes); the text of a verb names "
        "its own."
    )
    return section


def describe(name: str, command: Any, guide: tuple[str, str] | None) -> Iterator[Section]:
    """Yield the section of a command, and those of its own commands."""
    section = Section(name, 3)
    for paragraph in re.split(r"\n\s*\n", command.help or ""):
        section.text(_convert_help(paragraph))
    if guide:
        section.text(f"Guide: [{guide[0]}]({guide[1]})")
    context = command.make_context(name, [], resilient_parsing=True)
    nested = getattr(command, "commands", {})
    callable_alone = not nested or getattr(command, "invoke_without_command", False)
    if callable_alone:
        usage = command.get_usage(context).removeprefix("Usage: ")
        section.code(re.sub(r"[{}]", "", " ".join(usage.split())), "text")
    rows = [
        _describe_parameter(one) for one in command.get_params(context) if one.name not in COMMON and not one.hidden
    ]
    section.table(("Argument or option", "Default", "Meaning"), rows)
    yield section
    for child in nested.values():
        for inner in describe(f"{name} {child.name}", child, None):
            inner.level = 4
            yield inner


def _convert_help(paragraph: str) -> str:
    """Return a paragraph of a help text, in which a word with dashes is an option."""
    return mark_options(re.sub(r"\*\*(.+?)\*\*", r"`\1`", paragraph))


def _describe_parameter(one: Any) -> tuple[str, str, str]:
    text, default = split_default(one.help or "")
    limits = [f"at least {one.min}"] if one.min is not None else []
    limits += [f"at most {one.max}"] if one.max is not None else []
    return _name(one), default or _default(one), f"{sentence(text)} {sentence(', '.join(limits))}".strip()


def _name(one: Any) -> str:
    if one.param_type_name == "argument":
        return f"`{one.metavar or one.name.upper()}`"
    form = "" if one.is_flag else f" {one.metavar or _form(one)}"
    names = [f"`{opt}{form}`" for opt in sorted(one.opts, key=len, reverse=True)]
    return ", ".join([*names, *(f"`{opt}`" for opt in one.secondary_opts)])


def _form(one: Any) -> str:
    annotation = one.type_descriptor.annotation
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    return _TYPES.get(annotation, "TEXT")


def _default(one: Any) -> str:
    if one.required:
        return "required"
    if one.default in (None, "", False, ()):
        return "off" if getattr(one, "is_flag", False) else "none"
    return f"`{str(one.default).lower() if isinstance(one.default, bool) else one.default}`"
