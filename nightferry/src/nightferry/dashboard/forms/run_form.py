"""The form that starts a run of a task: a field for each setting that a start may change, arguments, and the size.

A blank field changes nothing. The values pass the same checks as those of ``nightferry run``, and a problem is shown at
its field. A value that must not be shown never reaches the browser: a field of a run that is started again then keeps
the value of that run unless the person enters another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nightferry.backend.request_checks import ARGUMENTS, SIZE, ImpossibleOverride, RequestProblem
from nightferry.backend.runs import RunRequest, TaskRun
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Task
from nightferry.catalog.fargate import SIZES
from nightferry.contract import format_again
from nightferry.environments.environment import Environment
from nightferry.errors import NightferryError
from nightferry.job.redaction import Redactor
from nightferry.overrides import LEVEL_VARIABLE, PERSONAL_VARIABLES
from nightferry.presentation.inputs import redact_words
from nightferry.presentation.task_settings import SWITCH, TaskSetting, list_settings
from nightferry.printable import make_printable

Control = Literal["line", "area", "date", "select"]

_KEPT = "keep."  # begins the name of the box that keeps a value that is not shown
_SET = "set."  # begins the name of the field of a setting
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)

Form = Mapping[str, Sequence[str]]
"""The values of a sent form by the names of its fields."""


class Visibility:
    """What pages show of the values of a form."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def show(self, value: str, name: str) -> str:
        """Return a value of a variable as pages show it."""
        return make_printable(self._redactor.redact_text(str(self._redactor.redact_value(value, name))))

    def show_arguments(self, words: Sequence[str]) -> list[str]:
        """Return arguments as pages show them."""
        return [make_printable(word) for word in redact_words(self._redactor, words)]


@dataclass(frozen=True)
class Field:
    """A field of the form.

    ``value`` is its text. ``current`` is what applies if it is blank, or empty if it is required. With ``kept`` not
    None, the run that is started again has a value that is not shown: True keeps it. ``problems`` are sentences.
    """

    name: str
    label: str
    control: Control
    value: str = ""
    options: tuple[str, ...] = ()
    hint: str = ""
    current: str = ""
    required: bool = False
    kept: bool | None = None
    problems: tuple[str, ...] = ()

    @property
    def keep_name(self) -> str:
        """Return the name of the box that keeps a value."""
        return f"{_KEPT}{self.name}"


@dataclass
class RunInput:
    """What a person entered: texts by the names of fields, and the fields whose value is kept."""

    texts: dict[str, str] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, form: Form) -> RunInput:
        """Return the input of a sent form."""
        texts = {name: found[-1].replace("\r\n", "\n") for name, found in form.items() if found}
        return cls(texts, {name.removeprefix(_KEPT) for name in texts if name.startswith(_KEPT)})


class RunForm:
    """The form of a task, or with ``repeated`` of a run that is started again."""

    def __init__(
        self,
        catalog: Catalog,
        task: Task,
        environment: Environment,
        visibility: Visibility,
        repeated: TaskRun | None = None,
    ) -> None:
        self._task = task
        self._environment = environment
        self._visibility = visibility
        self._repeated = repeated
        listed = [one for one in list_settings(catalog, task) if not one.is_secret]
        if LEVEL_VARIABLE not in {one.variable for one in listed}:
            listed.append(TaskSetting(LEVEL_VARIABLE, description="The levels of the log", overridable=True))
        names = {one.variable for one in listed}
        extra = [name for name in (repeated.env if repeated else ()) if name not in names and self._may_set(name)]
        self.settings = [one for one in listed if one.overridable] + [TaskSetting(name) for name in extra]
        self.fixed = [one for one in listed if not one.overridable]
        """The settings that no start changes."""
        self.secrets = [one for one in list_settings(catalog, task) if one.is_secret]
        self.takes_arguments = task.args != "none"
        self._first = self.first_input()

    def _may_set(self, variable: str) -> bool:
        return variable in self._task.overridable | PERSONAL_VARIABLES

    def first_input(self) -> RunInput:
        """Return what a new form has: the inputs of the repeated run, as far as they are shown, or nothing."""
        run, found = self._repeated, RunInput()
        if run is None:
            return found
        for setting in self.settings:
            value = run.env.get(setting.variable)
            if value is not None and self._is_shown(setting, value):
                found.texts[f"{_SET}{setting.variable}"] = value
            elif value is not None:
                found.kept.add(f"{_SET}{setting.variable}")
        if run.args and self._are_arguments_shown(run.args):
            found.texts[ARGUMENTS] = "\n".join(run.args)
        elif run.args:
            found.kept.add(ARGUMENTS)
        found.texts |= {name: str(size) for name in SIZE if (size := getattr(run, name))}
        return found

    def make_request(self, entered: RunInput, author: str) -> RunRequest:
        """Return the request of an input; raises ImpossibleOverride for a size that is not a number."""
        run = self._repeated
        env = {}
        for setting in self.settings:
            name = f"{_SET}{setting.variable}"
            if text := entered.texts.get(name, ""):
                env[setting.variable] = text
            elif run is not None and setting.variable in run.env and name in entered.kept:
                env[setting.variable] = run.env[setting.variable]
        args: Sequence[str] = _split_arguments(entered)
        if not args and run is not None and ARGUMENTS in entered.kept:
            args = run.args
        sizes = {}
        for name in SIZE:
            text = entered.texts.get(name, "").strip()
            if text and not (_NUMBER.fullmatch(text) and int(text)):
                raise ImpossibleOverride(RequestProblem(f"{name} must be a number, such as 1024.", (name,)))
            sizes[name] = int(text) if text else None
        started_by = author if run is None else format_again(run.id)
        return RunRequest(self._task.name, tuple(args), env, sizes["cpu"], sizes["memory"], started_by)

    def list_fields(self, entered: RunInput, problems: Iterable[RequestProblem] = ()) -> list[Field]:
        """Return the fields with their values and problems: the settings, then arguments and size."""
        by_part: dict[str, tuple[str, ...]] = {}
        for problem in problems:
            for part in problem.parts:
                by_part[part] = (*by_part.get(part, ()), problem.message)
        fields = [self._make_field(one, entered, by_part.get(one.variable, ())) for one in self.settings]
        if self.takes_arguments:
            hint = "One argument per line, without quotes."
            if self._task.args == "options":
                hint += " Options of the settings above, such as --check, are possible too."
            fields.append(
                Field(ARGUMENTS, "Arguments", "area", self._read_arguments(entered), hint=hint,
                      current="none", kept=self._read_kept(entered, ARGUMENTS), problems=by_part.get(ARGUMENTS, ()))
            )  # fmt: skip
        size = self._task.size
        options = {"cpu": tuple(map(str, SIZES)), "memory": ()}
        labels = {"cpu": "CPU units (1024 = 1 vCPU)", "memory": "Memory in MiB"}
        for name in SIZE:
            control: Control = "select" if options[name] else "line"
            fields.append(
                Field(name, labels[name], control, entered.texts.get(name, ""), options[name],
                      current=f"{getattr(size, name)}, the task's own", problems=by_part.get(name, ()))
            )  # fmt: skip
        return fields

    def _make_field(self, setting: TaskSetting, entered: RunInput, problems: tuple[str, ...]) -> Field:
        name = f"{_SET}{setting.variable}"
        value = entered.texts.get(name, "")
        if not self._is_shown(setting, value):
            value, problems = "", (*problems, "Enter the value again. It is not shown, because it may be personal.")
        options = ("true", "false") if setting.form == SWITCH else setting.choices
        control: Control = "line"
        if options and (not value or value in options):
            control = "select"
        elif setting.form == "JSON" or "\n" in value:
            control = "area"
        elif setting.form == "YYYY-MM-DD" and (not value or re.fullmatch(r"\d{4}-\d\d-\d\d", value)):
            control = "date"
        hint = " ".join(
            f"{text[:1].upper()}{text[1:]}." for text in (setting.description, ", ".join(setting.limits)) if text
        )
        return Field(
            name,
            setting.variable,
            control,
            value,
            options if control == "select" else (),
            hint,
            self._describe_current(setting),
            setting.required,
            self._read_kept(entered, name),
            problems,
        )

    def _describe_current(self, setting: TaskSetting) -> str:
        match setting.origin:
            case "start":
                return ""
            case "class":
                return setting.default.removeprefix("default: ")
        value = self._visibility.show(setting.resolve(self._environment) or "", setting.variable)
        place = "the environment" if setting.origin == "environment" else "the catalog"
        return f"{value or 'empty'}, set by {place}"

    def describe_fixed(self) -> list[tuple[str, str]]:
        """Return the name and the value of each setting that no start changes."""
        return [(one.variable, self._describe_current(one)) for one in self.fixed if one.declared is not None]

    # ── values that are not shown ─────────────────────────────────────────────────────────────────────────────

    def _is_shown(self, setting: TaskSetting, value: str) -> bool:
        return not value or (setting.shown and self._visibility.show(value, setting.variable) == value)

    def _are_arguments_shown(self, args: Sequence[str]) -> bool:
        lines = all(word and "\n" not in word for word in args)  # as the field separates them
        return lines and self._visibility.show_arguments(args) == [*args]

    def _read_arguments(self, entered: RunInput) -> str:
        words = _split_arguments(entered)
        return "\n".join(words) if self._are_arguments_shown(words) else ""

    def _read_kept(self, entered: RunInput, name: str) -> bool | None:
        return (name in entered.kept) if name in self._first.kept else None


def _split_arguments(entered: RunInput) -> list[str]:
    return [word for word in entered.texts.get(ARGUMENTS, "").split("\n") if word]


def list_changes(old: TaskRun, new: RunRequest) -> list[tuple[str, str | None, str | None]]:
    """Return the name, the old and the new value of each input of a run that is started again; None without a value."""
    changes: list[tuple[str, str | None, str | None]] = [
        (name, old.env.get(name), new.env.get(name)) for name in sorted({**old.env, **new.env})
    ]
    if old.args or new.args:
        changes.append(("arguments", "\n".join(old.args) or None, "\n".join(new.args) or None))
    for name in SIZE:
        before, after = getattr(old, name), getattr(new, name)
        if before or after:
            changes.append((name, str(before) if before else None, str(after) if after else None))
    return changes


def list_problems(error: NightferryError, names: Iterable[str]) -> tuple[list[RequestProblem], list[str]]:
    """Return the problems of a refused request that belong to one of the fields, and the messages of all others."""
    if not isinstance(error, ImpossibleOverride):
        return [], [str(error)]
    known = {name.removeprefix(_SET) for name in names}
    placed = [problem for problem in error.problems if known.intersection(problem.parts)]
    return placed, [problem.message for problem in error.problems if problem not in placed]
