"""The settings of a task as options of a command that starts it: ``--since=2026-11-01`` is ``-e SINCE=2026-11-01``."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typer.core import TyperCommand

from nightferry.backend.request_checks import get_task
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Task
from nightferry.contract import PARAMETER_PATH
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.presentation.task_settings import SWITCH, list_settings

_SWITCH_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "1", "0"})  # that pydantic reads as bool


class UnknownOption(NightferryError):
    """Neither the command nor the task has the option. The message suggests a similar one."""


class InvalidOption(NightferryError):
    """The option has no value, or its setting is a secret, which would be readable in the list of processes."""


@dataclass(frozen=True)
class TaskOptions:
    """The options of a task: the variable of each option, the options without a value, and the secrets."""

    task: str
    variables: Mapping[str, str]
    switches: Collection[str]
    secrets: Collection[str]

    @classmethod
    def read(cls, catalog: Catalog, task: Task) -> TaskOptions:
        """Return the options of a task."""
        settings = list_settings(catalog, task)
        options = [one for one in settings if not one.is_secret and not one.variable.endswith(PARAMETER_PATH)]
        return cls(
            task.name,
            {one.option: one.variable for one in options},
            {one.option for one in options if one.form == SWITCH},
            {one.option for one in settings if one.is_secret},
        )

    def take(self, words: list[str]) -> list[str]:
        """Remove the first word, an option of the task, and its value from ``words``; return it as ``-e NAME=VALUE``.

        Raises UnknownOption and InvalidOption.
        """
        option, equals, value = words.pop(0).partition("=")
        if option in self.secrets:
            raise InvalidOption(
                f"{option}: a secret of task '{self.task}' cannot be set on a command line, where other users and the "
                f"shell's history would show it. See: nightferry run {self.task} --help"
            )
        if option not in self.variables:
            names = {known.removeprefix("--"): known for known in self.variables}  # the dashes would make all similar
            near = difflib.get_close_matches(option.removeprefix("--"), names, n=1)
            hint = f"Did you mean {names[near[0]]}?" if near else f"See: nightferry run {self.task} --help"
            if (positive := option.replace("--no-", "--", 1)) in self.switches:
                hint = f"Use {positive}=false."
            raise UnknownOption(f"Task '{self.task}' has no setting {option}. {hint}")
        if not equals and option in self.switches:
            value = words.pop(0) if words and words[0].lower() in _SWITCH_WORDS else "true"
        elif not equals:
            if not words or words[0].startswith("--"):
                raise InvalidOption(f"{option} needs a value: {option}=VALUE")
            value = words.pop(0)
        return ["-e", f"{self.variables[option]}={value}"]


@dataclass(frozen=True)
class CommandOptions:
    """The options of a command by its parser: all names, and those that a value follows."""

    names: Collection[str]
    with_value: Collection[str]

    @classmethod
    def read(cls, params: Sequence[Any]) -> CommandOptions:
        """Return the options among the parameters of a Typer command."""
        options = [param for param in params if param.param_type_name == "option"]
        names = [name for option in options for name in (*option.opts, *option.secondary_opts)]
        values = [name for option in options if not option.is_flag for name in option.opts]
        return cls(frozenset({*names, "--help", "-h"}), frozenset(values))


def find_task(words: Sequence[str], options: CommandOptions, catalog: Catalog) -> Task | None:
    """Return the task among the words of a command line, or None if there is none; raises UnknownName.

    The options of the command are known, but not those of the task, so the first word that names a task is the task.
    """
    candidates = [word for word, is_value in _iterate(words, options) if not is_value and not word.startswith("-")]
    for word in candidates:
        if word in catalog.tasks or word in catalog.workflows:
            return get_task(catalog, word)
    return get_task(catalog, candidates[0]) if candidates else None


def rewrite(words: Sequence[str], options: CommandOptions, task: TaskOptions) -> list[str]:
    """Return the words with the task's options as ``-e NAME=VALUE``. Words after ``--`` stay."""
    rest, result = list(words), []
    while rest and rest[0] != "--":
        name = rest[0].partition("=")[0]
        if name in options.names:
            taken = 2 if name in options.with_value and "=" not in rest[0] else 1
            result += rest[:taken]
            del rest[:taken]
        elif name.startswith("--"):
            result += task.take(rest)
        else:
            result.append(rest.pop(0))
    return [*result, *rest]


def _iterate(words: Sequence[str], options: CommandOptions) -> Iterator[tuple[str, bool]]:
    """Yield each word before ``--``, with True if it is the value of the option before it."""
    is_value = False
    for word in words:
        if word == "--" and not is_value:
            return
        yield word, is_value
        is_value = not is_value and word in options.with_value


class TaskCommand(TyperCommand):
    """A command whose argument ``task`` is a task: the shell completes the options of its settings."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. For a completion, the settings of the task among them are not known and are ignored."""
        if ctx.resilient_parsing:
            ctx.ignore_unknown_options = True
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the options of the command and of the task that start with ``incomplete``."""
        found = super().shell_complete(ctx, incomplete)
        if not incomplete.startswith("-"):
            return found
        try:
            catalog = Project.find().catalog
        except NightferryError:
            return found
        task = catalog.tasks.get(ctx.params.get("task"))
        options = [] if task is None else sorted(TaskOptions.read(catalog, task).variables)
        make_item = type(super().shell_complete(ctx, "--")[0])  # each command has --help; the class is not public
        return [*found, *(make_item(option) for option in options if option.startswith(incomplete))]
