"""The page about the tasks and workflows of a project, from its catalog and its environments."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Grant, ObjectTrigger, Schedule, Task, Workflow
from nightferry.catalog.references import find_references, substitute
from nightferry.contract import SUPPLIED_VARIABLES
from nightferry.environments.environment import FOLDER, Environment
from nightferry.environments.project import Project
from nightferry.overrides import PERSONAL_VARIABLES
from nightferry.presentation.durations import format_duration
from nightferry.presentation.schedules.words import describe_schedule
from nightferry.presentation.task_settings import TaskSetting, list_settings
from tools.pages import make_anchor
from tools.reference.docstrings import read
from tools.reference.markdown import Section, page, sentence

_BY_HAND = {
    "allow": "A person may start it.",
    "confirm": "A person who starts it must type the name of the environment (`--confirm ENV`).",
    "never": "No person may start it, only schedules, triggers and workflows.",
}
_OVERLAPS = {
    "allow": "Runs may overlap.",
    "skip": "A start while another run is active ends at once and does nothing.",
    "queue": "A start while another run is active waits for its end.",
    "replace": "A start stops the run that is active.",
}
_KINDS = ("local", "shared", "production")  # of environments, in the order of the page
_Row = tuple[str, str, str, str]
_SHARED = 4  # tasks with the same setting, from which on it is described once
_SEVERITIES = {"high": "A failure pages the on-call person.", "low": "A failure is read on the next working day."}


_GUIDES = {
    "db-migrate-up": "database.md#migrations",
    "db-migrate-down": "database.md#migrations",
    "dor-import": "explain-a-file.md",
    "dor-import-exempt": "explain-a-file.md",
    "dor-generate": "generated-files.md",
    "dor-create-pending-filing-submission": "returning-employers.md",
    "dor-pending-filing-response-import": "returning-employers.md",
}
"""The page of each task that has no section of its own."""


def render(root: Path) -> str:
    """Return the page. ``root`` is the folder of the project."""
    project = Project.find(root)
    environments = {file.stem: project.environment(file.stem) for file in sorted((root / FOLDER).glob("*.toml"))}
    environments = dict(sorted(environments.items(), key=lambda one: (_KINDS.index(one[1].kind), one[0])))
    names = ", ".join(f"`{name}`" for name in environments)
    return page(
        "Tasks and workflows",
        f"Each task and workflow of the catalog: its purpose, what starts it, its settings with their values in the "
        f"environments {names}, its secrets and its permissions.",
        "the catalog, the settings classes and the environments",
        _Tasks(project.catalog, environments, _find_guides(root / "docs", project.catalog)).sections(),
        [
            "[Be on call](on-call.md): what to do when a task fails.",
            "[Operations](operations.md): the tasks that people start by hand.",
            "[Environment files](../../nightferry/docs/reference/environments.md): the files with these values.",
            "[Commands](../../nightferry/docs/reference/commands.md#run-ecs-task): how to start a task.",
        ],
    )


class _Tasks:
    def __init__(self, catalog: Catalog, environments: Mapping[str, Environment], guides: Mapping[str, str]) -> None:
        self.catalog = catalog
        self.guides = guides
        self.environments = environments
        self.of_all = {*catalog.env, *catalog.secrets}
        self.rows = {task.name: dict(self._list_rows(task)) for task in catalog.tasks.values()}
        counts = Counter(row for rows in self.rows.values() for row in rows.values())
        self.shared = {row: count for row, count in counts.items() if count >= _SHARED}

    def sections(self) -> Iterator[Section]:
        """Yield the sections of the page."""
        common = Section("Settings of all tasks")
        common.text("Each task has these variables, even if its job does not use them.")
        some = list_settings(self.catalog, next(iter(self.catalog.tasks.values())))
        self._add_settings(common, [self._describe(one) for one in some if one.variable in self.catalog.env])
        self._add_secrets(common, [one for one in some if one.variable in self.catalog.secrets])
        by_hand = ", ".join(f"`{name}`" for name in sorted(PERSONAL_VARIABLES))
        common.text(f"A person who starts a task may also set the variables {by_hand}.")
        yield common
        shared = Section("Settings of several tasks")
        shared.text(
            f"At least {_SHARED} tasks have these settings with these values. A value with `${{…}}` refers to a "
            "resource of the environment: a bucket, or a service of this machine."
        )
        self._add_settings(shared, sorted(self.shared))
        yield shared
        yield Section("Tasks")
        for task in self.catalog.tasks.values():
            yield self._describe_task(task)
        yield Section("Workflows")
        for workflow in self.catalog.workflows.values():
            yield self._describe_workflow(workflow)

    def _list_rows(self, task: Task) -> Iterator[tuple[str, _Row]]:
        """Yield the settings of a task that are not secret, nor of all tasks, nor supplied by the platform."""
        fields = {name.upper() for name in task.config.model_fields}
        for one in list_settings(self.catalog, task):
            is_own = one.variable in fields or one.declared is not None or one.required
            if is_own and not one.is_secret and one.variable not in self.of_all | SUPPLIED_VARIABLES:
                yield one.variable, self._describe(one)

    def _describe_task(self, task: Task) -> Section:
        section = Section(task.name, 3)
        section.text(sentence(task.description))
        for paragraph in read(task.config).paragraphs if task.main else ():
            text = re.sub(r"^Settings of [^.]*\.\s*", "", paragraph)
            if sentence(text) != sentence(task.description):
                section.text(text)
        if guide := self.guides.get(task.name):
            section.text(f"Guide: {guide}")
        scratch = f", {task.scratch} GiB of temporary files" if task.scratch else ""
        usual = f" It usually takes {_format_limit(task.expected.total_seconds())}." if task.expected else ""
        retry = f" After a failure, it is started again {task.retry.attempts} times." if task.retry else ""
        section.table(
            ("Property", "Value"),
            [
                ("Command", f"`{' '.join(task.command)}`"),
                ("Started by", "; ".join(self._list_starts(task)) or "people only"),
                ("By hand", _BY_HAND[task.by_hand]),
                ("Size", f"{task.size.cpu} CPU units, {task.size.memory} MiB{scratch}"),
                (
                    "Time limit",
                    f"{_format_limit(task.time_limit.total_seconds())}{'.' * bool(usual + retry)}{usual}{retry}",
                ),
                ("Overlap", f"`{task.overlap}`: {_OVERLAPS[task.overlap]}"),
                ("Severity", f"`{task.severity}`: {_SEVERITIES[task.severity]}"),
                ("Permissions", "; ".join(map(_describe_grant, task.grants)) or "none on buckets, topics and roles"),
            ],
        )
        rows = self.rows[task.name]
        self._add_settings(section, [row for row in rows.values() if row not in self.shared])
        if listed := [f"`{name}`" for name, row in rows.items() if row in self.shared]:
            section.text(
                f"It also has {', '.join(listed)} of the [settings of several tasks](#settings-of-several-tasks)."
            )
        settings = list_settings(self.catalog, task)
        open_ones = [f"`{one.variable}`" for one in settings if one.overridable and one.variable in rows]
        section.text(
            f"A start may set {', '.join(open_ones)}." if open_ones else "A start may set none of its settings."
        )
        self._add_secrets(section, [one for one in settings if one.is_secret and one.variable not in self.of_all])
        return section

    def _add_settings(self, section: Section, rows: Sequence[_Row]) -> None:
        section.table(("Setting", "Form", "Value", "Meaning"), rows)

    def _describe(self, one: TaskSetting) -> _Row:
        limits = re.sub(r"of the form (\S+)$", r"of the form `\1`", ", ".join(one.limits))
        meaning = f"{sentence(one.description)} {sentence(limits)}".strip()
        return f"`{one.variable}`", _describe_form(one), self._describe_value(one), meaning

    def _describe_value(self, one: TaskSetting) -> str:
        if one.origin == "start":
            return "supplied by each start"
        if one.origin == "class":
            default = one.default.removeprefix("default: ")
            return default if default in ("required", "optional", "none", "empty") else f"`{default}` by default"
        if one.origin == "catalog":
            return _format_value(one.declared or "")
        found: dict[str, list[str]] = {}
        for name, environment in self.environments.items():
            found.setdefault(one.resolve(environment) or "", []).append(name)
        if len(found) == 1:
            return _format_value(next(iter(found)))
        return "; ".join(f"{', '.join(names)}: {_format_value(value)}" for value, names in found.items())

    def _add_secrets(self, section: Section, settings: list[TaskSetting]) -> None:
        rows = [
            (
                f"`{one.variable}`",
                f"`{one.secret.name}`" if one.secret else "none",
                "not declared" if one.secret is None else "optional" if one.secret.optional else "required",
                sentence(one.description),
            )
            for one in settings
        ]
        section.table(("Secret variable", "Secret", "Required", "Meaning"), rows)

    def _list_starts(self, target: Task | Workflow) -> Iterator[str]:
        kind = "task" if isinstance(target, Task) else "workflow"
        for schedule in self.catalog.schedules.values():
            if (schedule.kind, schedule.target) == (kind, target.name):
                yield f"schedule `{schedule.name}`: {self._describe_schedule(schedule)}"
        for trigger in self.catalog.object_triggers.values():
            if (trigger.kind, trigger.target) == (kind, target.name):
                place = f"`{trigger.bucket}/{trigger.prefix}*{trigger.suffix}`"
                yield f"trigger `{trigger.name}`: each new object {place}{self._describe_enabled(trigger)}"
        for workflow in self.catalog.workflows.values():
            if kind == "task" and target.name in workflow.tasks:
                yield f"workflow [{workflow.name}](#{make_anchor(workflow.name)})"

    def _describe_schedule(self, schedule: Schedule) -> str:
        found: dict[str, list[str]] = {}
        for name, environment in self.environments.items():
            text = _resolve(schedule.expression, environment)
            found.setdefault(describe_schedule(text, schedule.timezone), []).append(name)
        words = (
            next(iter(found))
            if len(found) == 1
            else ", ".join(f"{text} ({', '.join(names)})" for text, names in found.items())
        )
        return words + self._describe_enabled(schedule)

    def _describe_enabled(self, one: Schedule | ObjectTrigger) -> str:
        off = [name for name, environment in self.environments.items() if _resolve(one.enabled, environment) != "true"]
        return f" (disabled in {', '.join(off)})" if off else ""

    def _describe_workflow(self, workflow: Workflow) -> Section:
        section = Section(f"Workflow {workflow.name}" if workflow.name in self.catalog.tasks else workflow.name, 3)
        section.text(sentence(workflow.description))
        notice = workflow.on_failure
        section.table(
            ("Property", "Value"),
            [
                ("Started by", "; ".join(self._list_starts(workflow)) or "people only"),
                ("Overlap", f"`{workflow.overlap}`: {_OVERLAPS[workflow.overlap].replace('run', 'execution')}"),
                ("Severity", f"`{workflow.severity}`: {_SEVERITIES[workflow.severity]}"),
                ("Time limit", _format_limit(workflow.definition.get("TimeoutSeconds", 0)) or "none"),
                ("Failure notice", f"topic `{notice.topic.name}`" if notice else "none"),
                ("Input", ", ".join(f"`{name}`" for name in workflow.required) or "none is required"),
            ],
        )
        section.table(("State", "Type", "Task", "Then"), list(_list_states(workflow.definition)))
        return section


def _find_guides(folder: Path, catalog: Catalog) -> dict[str, str]:
    """Return a link to the page of each task: to the section that has its name, if there is one."""
    places = dict(_GUIDES)
    titles = {}
    for file in sorted(folder.glob("*.md")):
        title, *lines = file.read_text(encoding="utf-8").splitlines()
        titles[file.name] = title.removeprefix("# ")
        sections = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
        places |= {name: f"{file.name}#{make_anchor(name)}" for name in sections if name in catalog.tasks}
    return {task: f"[{titles[place.partition('#')[0]]}]({place})" for task, place in places.items()}


def _list_states(definition: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield the states of a definition in order, each before those within it."""
    states: Mapping[str, Any] = definition["States"]
    waiting, seen = [definition["StartAt"]], set()
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        state = states[name]
        tasks = sorted(
            {
                one.name
                for one in find_references(state.get("Parameters", state.get("Arguments", {})))
                if one.kind == "task"
            }
        )
        following = [state["Next"]] if "Next" in state else []
        choices = [choice["Next"] for choice in state.get("Choices", ())]
        otherwise = [state["Default"]] if "Default" in state else []
        caught = [catch["Next"] for catch in state.get("Catch", ())]
        then = ", ".join(f"`{one}`" for one in dict.fromkeys((*following, *choices, *otherwise)))
        after_error = f"after an error `{caught[0]}`" if caught else ""
        links = ", ".join(f"[{task}](#{make_anchor(task)})" for task in tasks)
        yield f"`{path}{name}`", state["Type"], links, "; ".join(filter(None, (then, after_error))) or "end"
        for inner in (
            *state.get("Branches", ()),
            *filter(None, (state.get("ItemProcessor") or state.get("Iterator"),)),
        ):
            yield from _list_states(inner, f"{path}{name} / ")
        waiting = [*following, *choices, *otherwise, *caught, *waiting]


def _resolve(text: str, environment: Environment) -> str:
    return str(substitute(text, lambda one: environment.settings[one.name] if one.kind == "setting" else str(one)))


def _describe_form(one: TaskSetting) -> str:
    if one.choices:
        return " or ".join(f"`{choice}`" for choice in one.choices)
    return {"true|false": "true or false", "TEXT": "text", "NUMBER": "number", "PATH": "path"}.get(one.form, one.form)


def _format_value(value: str) -> str:
    return f"`{value}`" if value else "empty"


def _describe_grant(grant: Grant) -> str:
    access = ", ".join(sorted(grant.access))
    if grant.kind == "bucket":
        return f"{access} `{grant.pattern}` of bucket `{grant.name}`"
    return f"{access} {'to topic' if grant.kind == 'topic' else 'role'} `{grant.name}`"


def _format_limit(seconds: float) -> str:
    text = format_duration(seconds) if seconds else ""
    return re.sub(r" 0 (s|min)$", "", text)
