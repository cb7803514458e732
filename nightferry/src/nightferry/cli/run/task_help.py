"""The help of a task's settings: types, defaults, the environments that supply them, and how to set secrets."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from nightferry.catalog.declarations import Task
from nightferry.catalog.secret_users import format_set_command
from nightferry.environments.environment import FOLDER, Environment
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.presentation.task_settings import TaskSetting, list_settings

_WIDTH = 100


def format_task_help(project: Project, task: Task) -> str:
    """Return the page about the settings of a task."""
    environments = _read_environments(project)
    lines = [f"Settings of {task.name}, as options, or as variables with -e:", ""]
    for setting in list_settings(project.catalog, task):
        if setting.is_secret:
            lines += _format(f"{setting.variable} (secret, no option)", _describe_secret(setting))
        else:
            lines += _format(f"{setting.option}={setting.form}", _describe_setting(setting, environments))
    return "\n".join(lines)


def _format(title: str, sentences: Iterator[str]) -> list[str]:
    text = " ".join(filter(None, sentences))
    return [f"  {title}", *textwrap.wrap(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)]


def _describe_setting(setting: TaskSetting, environments: Mapping[str, Environment]) -> Iterator[str]:
    yield _end_sentence(setting.description)
    yield _end_sentence(", ".join(setting.limits).capitalize())
    if setting.origin == "start":
        yield "Required at each start."
    elif setting.origin == "class":
        yield _end_sentence(setting.default[:1].upper() + setting.default[1:])
    elif setting.origin == "catalog":
        yield f"Set by the catalog: {setting.declared}."
    else:
        found = {env: setting.resolve(environment) for env, environment in environments.items()}
        yield f"Set by the environments: {', '.join(f'{text} ({env})' for env, text in found.items())}."


def _describe_secret(setting: TaskSetting) -> Iterator[str]:
    yield _end_sentence(setting.description)
    if setting.secret is None:
        yield "Not declared in the task's secrets, so it is never set."
    else:
        yield f"Set it with: {format_set_command(setting.secret.name)}; on AWS, add --env ENV."


def _end_sentence(text: str) -> str:
    return f"{text.rstrip('.')}." if text else ""


def _read_environments(project: Project) -> dict[str, Environment]:
    """Return the environments of the project. One whose file is invalid is left out: its own commands report it."""
    found = {}
    for file in sorted((project.root / FOLDER).glob("*.toml")):
        try:
            found[file.stem] = project.environment(file.stem)
        except NightferryError:
            continue
    return found
