"""What a change of the catalogue changes, in words that a reviewer understands.

Both sides are synthesized files, so that a difference is one of the infrastructure and not of the Python that
wrote it. Tasks, schedules, triggers and permissions are told in their own words; any other resource by its address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.terraform.files import Files
from nightferry.terraform.reading.expansion import data_sources, expand
from nightferry.terraform.reading.values import decode, listed, plain

Json = Any


@dataclass(frozen=True)
class Change:
    """One change: ``subject`` is the thing ("task load-orders"), ``text`` what happens to it."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def diff(old: Files, new: Files, environment: str) -> list[Change]:
    """Return the changes of an environment from ``old`` to ``new``, each with the modules that it calls."""
    folder = f"ecs-tasks/{environment}"
    before, after = _merge(old, folder), _merge(new, folder)
    return [
        *_named("task", _tasks(old, folder), _tasks(new, folder), _task_words),
        *_named("schedule", _modules(before, "schedule_"), _modules(after, "schedule_"), _schedule_words),
        *_named("trigger", _triggers(before), _triggers(after), _attribute_words),
        *_named("workflow", _workflows(old, folder), _workflows(new, folder), _workflow_words),
        *_named("IAM", _policies(old, folder), _policies(new, folder), _policy_words),
        *_named("", _others(before), _others(after), _attribute_words),
    ]


def markdown(changes: list[Change], environment: str) -> str:
    """The changes as a comment on a pull request."""
    if not changes:
        return f"**{environment}**: the background tasks' infrastructure does not change.\n"
    lines = [f"**{environment}**: {len(changes)} changes of the background tasks' infrastructure\n"]
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


def _named(kind: str, old: Mapping[str, Json], new: Mapping[str, Json], words: Any) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        subject = f"{kind} {name}".strip()
        if name not in old:
            yield Change(subject, _added(kind, new[name]))
        elif name not in new:
            yield Change(subject, "removed")
        else:
            for text in words(old[name], new[name]):
                yield Change(subject, text)


def _added(kind: str, body: Json) -> str:
    match kind:
        case "task":
            return f"new: {body['cpu']} CPU units, {body['memory']} MiB, runs {' '.join(body['command'])}"
        case "schedule":
            return f"new: {body['schedule_expression']} {body['timezone']}"
        case "IAM":
            return "new: " + "; ".join(_allows(block) for block in body.values())
    return "new"


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _tasks(files: Files, folder: str) -> dict[str, Json]:
    tasks = {}
    for found in expand(files, folder):
        if found.type != "aws_ecs_task_definition":
            continue
        definition = plain(dict(found.arguments))
        (container,) = decode(found.arguments["container_definitions"])
        storage = [block["size_in_gib"] for block in listed(definition.get("ephemeral_storage", []))]
        tasks[container["name"]] = {
            # Every task has 20 GiB of its own; whether it may write there is what a volume says.
            "scratch": (storage or [20])[0] if definition.get("volume") else 0,
            "cpu": int(definition["cpu"]),
            "memory": int(definition["memory"]),
            "command": container["command"],
            "environment": {item["name"]: item["value"] for item in container.get("environment", [])},
            "secrets": {
                item["name"]: item["valueFrom"].rpartition(":parameter")[2] for item in container.get("secrets", [])
            },
            "container": {
                key: value
                for key, value in container.items()
                if key not in ("name", "command", "environment", "secrets", "mountPoints")
            },
        }
    return tasks


def _task_words(old: Json, new: Json) -> Iterator[str]:
    yield from _moved("CPU", old["cpu"], new["cpu"])
    yield from _moved("memory", old["memory"], new["memory"])
    yield from _moved("scratch (GiB)", old["scratch"], new["scratch"])
    yield from _moved("command", " ".join(old["command"]), " ".join(new["command"]))
    yield from _entries("variable", old["environment"], new["environment"])
    yield from _entries("secret", old["secrets"], new["secrets"])
    yield from _attribute_words(old["container"], new["container"])


def _moved(what: str, old: Json, new: Json) -> Iterator[str]:
    if old != new:
        yield f"{what} {_short(old)} → {_short(new)}"


def _entries(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"new {what} {name} = {_short(new[name])}"
        elif name not in new:
            yield f"{what} {name} removed"
        else:
            yield from _moved(f"{what} {name}", old[name], new[name])


# ── schedules, triggers, workflows ────────────────────────────────────────────────────────────────────────────


def _modules(merged: Json, prefix: str) -> dict[str, Json]:
    calls = merged.get("module", {})
    return {
        name.removeprefix(prefix).replace("_", "-"): call for name, call in calls.items() if name.startswith(prefix)
    }


def _schedule_words(old: Json, new: Json) -> Iterator[str]:
    before = f"{old['schedule_expression']} {old['timezone']}"
    after = f"{new['schedule_expression']} {new['timezone']}"
    if before != after:
        yield f"moves from {before} to {after}"
    if old["enabled"] != new["enabled"]:
        yield "switched on" if new["enabled"] else "switched off"
    told = ("schedule_expression", "timezone", "enabled")
    yield from _attribute_words(
        {key: value for key, value in old.items() if key not in told},
        {key: value for key, value in new.items() if key not in told},
    )


def _triggers(merged: Json) -> dict[str, Json]:
    triggers = dict(_modules(merged, "trigger_"))
    for notification in merged.get("resource", {}).get("aws_s3_bucket_notification", {}).values():
        for rule in notification.get("lambda_function", []):
            call = triggers.get(rule["id"], {})
            filters = {"prefix": rule.get("filter_prefix", ""), "suffix": rule.get("filter_suffix", "")}
            triggers[rule["id"]] = call | filters
    return triggers


def _workflows(files: Files, folder: str) -> dict[str, Json]:
    return {
        name.rpartition("/")[2].removesuffix(".asl.json"): json.loads(text)
        for name, text in files.items()
        if name.endswith(".asl.json") and name.startswith(f"{folder}/")
    }


def _workflow_words(old: Json, new: Json) -> Iterator[str]:
    before, after = old["States"], new["States"]
    for state in [*after, *(state for state in before if state not in after)]:
        if state not in before:
            yield f"new state '{state}'"
        elif state not in after:
            yield f"state '{state}' removed"
        else:
            for text in _attribute_words(before[state], after[state]):
                yield f"state '{state}': {text}"
    yield from _moved("starts at", old["StartAt"], new["StartAt"])
    yield from _moved("time limit (s)", old.get("TimeoutSeconds", "none"), new.get("TimeoutSeconds", "none"))


# ── permissions ───────────────────────────────────────────────────────────────────────────────────────────────


_OF_A_TASK = re.compile(r"module\.task_(\w+)\.data\.aws_iam_policy_document\.(task|execution)\b")


def _policies(files: Files, folder: str) -> dict[str, Json]:
    policies = {}
    for found in data_sources(files, folder):
        if found.type != "aws_iam_policy_document":
            continue
        if task := _OF_A_TASK.match(found.address):
            name = task[1] if task[2] == "task" else f"{task[1]}_execution"
        elif found.address.startswith("module."):
            continue  # the roles of schedules and triggers follow from these
        else:
            name = found.address.rpartition(".")[2]
        policies[name] = {block.get("sid", "trust"): block for block in plain(dict(found.arguments))["statement"]}
    return policies


def _policy_words(old: Json, new: Json) -> Iterator[str]:
    for sid in sorted(old.keys() | new.keys()):
        if sid not in old:
            yield _allows(new[sid])
        elif sid not in new:
            yield f"may no longer {', '.join(old[sid]['actions'])} on {_list(old[sid].get('resources', []))}"
        elif old[sid] != new[sid]:
            yield from _statement_words(sid, old[sid], new[sid])


def _statement_words(sid: str, old: Json, new: Json) -> Iterator[str]:
    """A statement that changes, by what comes and what goes; conditions in full, for they decide."""
    lists = ("actions", "resources")
    for key in lists:
        before, after = old.get(key, []), new.get(key, [])
        whole = new | {key: [item for item in after if item not in before]}
        lost = old | {key: [item for item in before if item not in after]}
        if whole[key]:
            yield _allows(whole)
        if lost[key]:
            yield f"may no longer {', '.join(lost['actions'])} on {_list(lost.get('resources', []))}"
    for text in _attribute_words(
        {key: value for key, value in old.items() if key not in lists},
        {key: value for key, value in new.items() if key not in lists},
    ):
        yield f"{sid}: {text}"


def _allows(block: Json) -> str:
    return f"may now {', '.join(block['actions'])} on {_list(block.get('resources', []))}"


def _list(items: Json) -> str:
    return ", ".join(items) if items else "itself"


# ── everything else ───────────────────────────────────────────────────────────────────────────────────────────

# Told above, or mere consequences of it.
_TOLD = ("aws_s3_bucket_notification", "aws_iam_role_policy", "aws_cloudwatch_dashboard")


def _others(merged: Json) -> dict[str, Json]:
    return {
        f"{kind}.{name}": body
        for kind, things in merged.get("resource", {}).items()
        if kind not in _TOLD
        for name, body in things.items()
    }


def _attribute_words(old: Mapping[str, Json], new: Mapping[str, Json]) -> Iterator[str]:
    for key in [*new, *(key for key in old if key not in new)]:
        if key == "//":
            continue
        if key not in old:
            yield f"{key} = {_short(new[key])}"
        elif key not in new:
            yield f"{key} removed"
        else:
            yield from _moved(key, old[key], new[key])


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:197]}…"
