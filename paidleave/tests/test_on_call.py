"""The runbook ``docs/on-call.md``: each synthesized alarm has one section, and its facts are those of the catalog."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from nightferry.cli.app import app
from nightferry.environments.project import Project

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/on-call.md").read_text()
CATALOG = Project.find(ROOT).catalog
NAMES = {
    "TASK": {*CATALOG.tasks},
    "WORKFLOW": {*CATALOG.workflows},
    "SCHEDULE": {*CATALOG.schedules},
    "TRIGGER": {*CATALOG.object_triggers},
    "TOPIC-CHAT": {f"{topic}-{chat}" for topic in CATALOG.topics for chat in ("slack", "teams")},
}


def read_alarms() -> Iterator[tuple[str, str, Any]]:
    """Yield environment, name without the prefix, and declaration of each synthesized alarm."""
    for file in sorted((ROOT / "infra/ecs-tasks").glob("*/alarms.tf.json")):
        for alarm in json.loads(file.read_text())["resource"]["aws_cloudwatch_metric_alarm"].values():
            yield file.parent.name, alarm["alarm_name"].removeprefix(f"paid-leave-api-{file.parent.name}-"), alarm


ALARMS = [*read_alarms()]


def read_part(title: str) -> str:
    """Return the text below a heading of the second level."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def read_sections() -> dict[str, str]:
    parts = re.split(r"^### (.+)\n", read_part("Each alarm"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def expand(heading: str) -> set[str]:
    """Return the names of alarms that a heading stands for. Its capitals are the name of a declaration."""
    kind = re.match(r"[A-Z]+(-[A-Z]+)*", heading)
    return {heading} if kind is None else {name + heading[kind.end() :] for name in NAMES[kind[0]]}


def test_each_alarm_has_one_section_and_each_section_an_alarm() -> None:
    names = {heading: expand(heading) for heading in read_sections()}
    synthesized = {name for _, name, _ in ALARMS}
    assert {name: [one for one, found in names.items() if name in found] for name in synthesized} == {
        name: [find_heading(alarm)] for _, name, alarm in ALARMS
    }
    assert [heading for heading, found in names.items() if not found & synthesized] == []


def find_heading(alarm: Any) -> str:
    """Return the heading to which the description of an alarm links."""
    anchor = re.search(r" Runbook: https://\S+/paidleave/docs/on-call\.html#([a-z-]+)$", alarm["alarm_description"])
    assert anchor is not None, alarm["alarm_name"]
    return next(heading for heading in read_sections() if heading.lower() == anchor[1])


def test_the_table_has_each_section_once_and_the_alarms_that_wake_a_person() -> None:
    rows = re.findall(r"^\| \[`(.+?)`\]\(#(.+?)\) \| .+ \| (.+) \|$", read_part("Alarms"), re.MULTILINE)
    assert [heading for heading, _, _ in rows] == list(read_sections()) == list(dict.fromkeys(read_sections()))
    for heading, anchor, pager in rows:
        assert anchor == heading.lower()
        woken = {
            name
            for env, name, alarm in ALARMS
            if env == "prod" and name in expand(heading) and alarm["alarm_actions"][0].endswith(":paid-leave-api-pager")
        }
        stated = (
            set()
            if pager == "no"
            else {heading}
            if pager == "yes"
            else expand(heading) & {re.sub(r"^[A-Z]+(-[A-Z]+)*", pager.strip("`"), heading)}
        )
        assert woken == stated, heading
    assert not any(alarm["alarm_actions"][0].endswith("pager") for env, _, alarm in ALARMS if env != "prod")


def test_every_section_has_a_meaning_a_check_a_fix_and_a_command() -> None:
    for heading, text in read_sections().items():
        for word in ("Meaning", "First check", "ix", "ake"):
            assert re.search(rf"\*\*[^*]*{word}[^*]*\.\*\*", text), (heading, word)
        assert "nightferry " in text or "As for" in text, heading


def test_every_declaration_has_a_row() -> None:
    waits = read_part("What can wait")
    generated = {"generated-dor-fineos-etl"}
    assert [
        one for one in [*CATALOG.tasks, *CATALOG.workflows] if f"`{one}`" not in waits and one not in generated
    ] == []
    overdue = {name.removesuffix("-overdue") for _, name, _ in ALARMS if name.endswith("-overdue")}
    assert [one for one in overdue if f"`{one}`" not in read_sections()["SCHEDULE-overdue"]] == []
    for trigger in CATALOG.object_triggers.values():
        row = f"| `{trigger.name}` | `nightferry run {trigger.target} --env prod` |"
        assert row in read_sections()["triggers-dead-letters"]


def test_the_time_limits_of_workflows_are_those_of_the_catalog() -> None:
    text = read_sections()["WORKFLOW-timed-out"]
    for workflow, hours in (("dor-fineos-etl", 8), ("cps-errors", 3)):
        limit = CATALOG.workflows[workflow].definition["TimeoutSeconds"]
        assert limit == hours * 3600
        assert f"`{workflow}` {hours}" in text


def test_each_command_has_these_arguments_and_names_what_is_declared() -> None:
    verbs: Any = get_command(app)
    commands = re.findall(r"`nightferry ([^`\n]+)`|^nightferry ([^#\n]+)", PAGE, re.MULTILINE)
    assert len(commands) > 40
    for text in (one or other for one, other in commands):
        verb, *words = shlex.split(text.replace(" DAY", " 2026-11-01"))
        if verb != "run":  # whose options are the settings of the task
            verbs.commands[verb].load().make_context(verb, words)
        names = {
            "run": CATALOG.tasks,
            "start": CATALOG.workflows,
            "starts": {**CATALOG.schedules, **CATALOG.object_triggers},
        }
        if verb in names and words and words[0].islower() and not words[0].startswith("-"):
            assert words[0] in names[verb], text
