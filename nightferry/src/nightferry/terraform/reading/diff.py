"""Describe the infrastructure changes of a change to the catalog in sentences for reviewers.

Both sides are synthesized files, so a difference is one of the infrastructure and not of the Python code. Changes of
tasks, schedules, triggers, workflows and permissions have descriptions of their own. Other resources are listed by
address, and changed modules by their files, because Terraform's plan shows the effects on each resource.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.terraform.files import Files
from nightferry.terraform.reading.expansion import expand, reading_files
from nightferry.terraform.reading.permissions import describe_change, find_policies, find_role_policies
from nightferry.terraform.reading.values import as_list, decode, to_json

Json = Any


@dataclass(frozen=True)
class Change:
    """A change to ``subject``, such as "task load-orders", described by ``text``."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def diff(old: Files, new: Files, environment: str) -> list[Change]:
    """Return the changes of an environment from ``old`` to ``new``, each with the modules that it calls.

    Raises:
        NightferryError: The files cannot be read.
    """
    folder = f"ecs-tasks/{environment}"
    with reading_files(folder):
        before, after = _merge(old, folder), _merge(new, folder)
        return [
            *_compare("task", _find_tasks(old, folder), _find_tasks(new, folder), _describe_task),
            *_compare(
                "schedule", _find_modules(before, "schedule_"), _find_modules(after, "schedule_"), _describe_schedule
            ),
            *_compare("trigger", _find_triggers(before), _find_triggers(after), _describe_attributes),
            *_compare("workflow", _find_workflows(old, folder), _find_workflows(new, folder), _describe_workflow),
            *_compare("role to", find_role_policies(old, folder), find_role_policies(new, folder), describe_change),
            *_compare("IAM", find_policies(old, folder), find_policies(new, folder), describe_change),
            *_compare("module", _find_module_files(old, before), _find_module_files(new, after), _describe_files),
            *_compare("", _find_others(before), _find_others(after), _describe_attributes),
        ]


def format_markdown(changes: list[Change], environment: str) -> str:
    """Format the changes as a comment on a pull request."""
    if not changes:
        return f"**{environment}**: the background tasks' infrastructure does not change.\n"
    count = "1 change" if len(changes) == 1 else f"{len(changes)} changes"
    lines = [f"**{environment}**: {count} of the background tasks' infrastructure\n"]
    lines += [f"- **{change.subject}**: {change.text}" for change in changes]
    return "\n".join(lines) + "\n"


def _merge(files: Files, folder: str) -> Json:
    merged: Json = {}
    for name, text in files.items():
        if name.endswith(".tf.json") and name.startswith(f"{folder}/"):
            for block, members in json.loads(text).items():
                if block in ("resource", "data"):
                    for kind, things in members.items():
                        merged.setdefault(block, {}).setdefault(kind, {}).update(things)
                elif isinstance(members, dict):
                    merged.setdefault(block, {}).update(members)
    return merged


def _compare(kind: str, old: Mapping[str, Json], new: Mapping[str, Json], describe: Any) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        subject = f"{kind} {name}".strip()
        if name not in old:
            yield Change(subject, _describe_addition(kind, new[name]))
        elif name not in new:
            yield Change(subject, "removed")
        else:
            for text in describe(old[name], new[name]):
                yield Change(subject, text)


def _describe_addition(kind: str, body: Json) -> str:
    match kind:
        case "task":
            return f"new: {body['cpu']} CPU units, {body['memory']} MiB, runs {' '.join(body['program'])}"
        case "schedule":
            return f"new: {body['schedule_expression']} {body['timezone']}"
        case "IAM":
            return "new: " + "; ".join(describe_change(set(), body))
    return "new"


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _find_tasks(files: Files, folder: str) -> dict[str, Json]:
    tasks = {}
    for found in expand(files, folder):
        if found.type != "aws_ecs_task_definition":
            continue
        definition = to_json(dict(found.arguments))
        (container,) = decode(found.arguments["container_definitions"])
        storage = [block["size_in_gib"] for block in as_list(definition.get("ephemeral_storage", []))]
        tasks[container["name"]] = {
            # Each task has 20 GiB of storage, but may write to it only if it has a volume.
            "scratch": (storage or [20])[0] if definition.get("volume") else 0,
            "cpu": int(definition["cpu"]),
            "memory": int(definition["memory"]),
            **_read_rules(container),
            "environment": {item["name"]: item["value"] for item in container.get("environment", [])},
            "secrets": {
                item["name"]: item["valueFrom"].rpartition(":parameter")[2] for item in container.get("secrets", [])
            },
            "container": {
                key: value
                for key, value in container.items()
                if key not in ("name", "command", "entryPoint", "environment", "secrets", "mountPoints")
            },
        }
    return tasks


def _read_rules(container: Json) -> Json:
    """Return the rules of a container's entry point. Definitions before version 0.2 had a command without rules."""
    if "entryPoint" not in container:
        return {"program": container["command"], "args": "any", "open": {}}
    rules = json.loads(container["entryPoint"][-1])
    return {name: rules[name] for name in ("program", "args", "open")}


def _describe_task(old: Json, new: Json) -> Iterator[str]:
    yield from _describe_value("CPU", old["cpu"], new["cpu"])
    yield from _describe_value("memory", old["memory"], new["memory"])
    yield from _describe_value("scratch (GiB)", old["scratch"], new["scratch"])
    yield from _describe_value("program", " ".join(old["program"]), " ".join(new["program"]))
    yield from _describe_value("arguments of a start", old["args"], new["args"])
    yield from _describe_entries("variable of a start", old["open"], new["open"])
    yield from _describe_entries("variable", old["environment"], new["environment"])
    yield from _describe_entries("secret", old["secrets"], new["secrets"])
    yield from _describe_attributes(old["container"], new["container"])


def _describe_value(label: str, old: Json, new: Json) -> Iterator[str]:
    if old != new:
        yield f"{label} {_shorten(old)} → {_shorten(new)}"


def _describe_entries(label: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"new {label} {name} = {_shorten(new[name])}"
        elif name not in new:
            yield f"{label} {name} removed"
        else:
            yield from _describe_value(f"{label} {name}", old[name], new[name])


# ── schedules, triggers, workflows ────────────────────────────────────────────────────────────────────────────


def _find_modules(merged: Json, prefix: str) -> dict[str, Json]:
    calls = merged.get("module", {})
    return {
        name.removeprefix(prefix).replace("_", "-"): call for name, call in calls.items() if name.startswith(prefix)
    }


def _describe_schedule(old: Json, new: Json) -> Iterator[str]:
    before = f"{old['schedule_expression']} {old['timezone']}"
    after = f"{new['schedule_expression']} {new['timezone']}"
    if before != after:
        yield f"moves from {before} to {after}"
    if old["enabled"] != new["enabled"]:
        yield "switched on" if new["enabled"] else "switched off"
    described = ("schedule_expression", "timezone", "enabled")
    yield from _describe_attributes(
        {key: value for key, value in old.items() if key not in described},
        {key: value for key, value in new.items() if key not in described},
    )


def _find_triggers(merged: Json) -> dict[str, Json]:
    triggers = dict(_find_modules(merged, "trigger_"))
    for notification in merged.get("resource", {}).get("aws_s3_bucket_notification", {}).values():
        for rule in notification.get("lambda_function", []):
            call = triggers.get(rule["id"], {})
            filters = {"prefix": rule.get("filter_prefix", ""), "suffix": rule.get("filter_suffix", "")}
            triggers[rule["id"]] = call | filters
    return triggers


def _find_workflows(files: Files, folder: str) -> dict[str, Json]:
    return {
        name.rpartition("/")[2].removesuffix(".asl.json"): json.loads(text)
        for name, text in files.items()
        if name.endswith(".asl.json") and name.startswith(f"{folder}/")
    }


def _describe_workflow(old: Json, new: Json) -> Iterator[str]:
    before, after = old["States"], new["States"]
    for state in [*after, *(state for state in before if state not in after)]:
        if state not in before:
            yield f"new state '{state}'"
        elif state not in after:
            yield f"state '{state}' removed"
        else:
            for text in _describe_attributes(before[state], after[state]):
                yield f"state '{state}': {text}"
    yield from _describe_value("starts at", old["StartAt"], new["StartAt"])
    yield from _describe_value("time limit (s)", old.get("TimeoutSeconds", "none"), new.get("TimeoutSeconds", "none"))


# ── modules ───────────────────────────────────────────────────────────────────────────────────────────────────


def _find_module_files(files: Files, merged: Json) -> dict[str, dict[str, str]]:
    """Return the texts of each module that the environment calls, by file, without the documentation."""
    folders = {call["source"].rpartition("/")[2] for call in merged.get("module", {}).values()}
    return {
        folder: {
            name.rpartition("/")[2]: text
            for name, text in files.items()
            if name.startswith(f"modules/{folder}/") and not name.endswith(".md")
        }
        for folder in folders
    }


def _describe_files(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    if changed := sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)):
        yield f"{', '.join(changed)} changed. Terraform's plan shows the effects on each resource of the module"


# ── everything else ───────────────────────────────────────────────────────────────────────────────────────────

# Types that are described above, or that change only as a consequence.
_COVERED_TYPES = ("aws_s3_bucket_notification", "aws_iam_role_policy", "aws_cloudwatch_dashboard")


def _find_others(merged: Json) -> dict[str, Json]:
    return {
        f"{kind}.{name}": body
        for kind, things in merged.get("resource", {}).items()
        if kind not in _COVERED_TYPES
        for name, body in things.items()
    }


def _describe_attributes(old: Mapping[str, Json], new: Mapping[str, Json]) -> Iterator[str]:
    for key in [*new, *(key for key in old if key not in new)]:
        if key == "//":
            continue
        if key not in old:
            yield f"{key} = {_shorten(new[key])}"
        elif key not in new:
            yield f"{key} removed"
        else:
            yield from _describe_value(key, old[key], new[key])


def _shorten(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:197]}…"
