"""``docs/permissions.md`` explains every IAM statement of the written files of all environments, and no other one."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nightferry.terraform.deployers.calls import COMMANDS, DATA_SOURCES, PUSH, RESOURCES, STATE
from nightferry.terraform.files import Files, read
from nightferry.terraform.policies import make_label
from nightferry.terraform.reading.expansion import expand, expand_data_sources, reading_files
from nightferry.terraform.reading.inventory import build_inventory
from nightferry.terraform.reading.values import as_list, to_json
from paidleave.catalog import catalog

Json = Any
PROJECT = Path(__file__).parents[2]
INFRA = PROJECT / "infra"
PAGE = (PROJECT / "docs" / "permissions.md").read_text(encoding="utf-8")
ENVIRONMENTS = sorted(path.name for path in (INFRA / "ecs-tasks").iterdir() if path.is_dir())
BUCKETS = {make_label(bucket): bucket for bucket in catalog.buckets}
ACCESS = re.compile(rf"((?:Read|Write|Delete)+)({'|'.join(BUCKETS)})")
SOURCES = {"source_account": "aws:SourceAccount", "source_arn": "aws:SourceArn"}
SERVICES = ("aws", "ecs", "iam", "kms", "s3", "sts")  # of condition keys


@dataclass
class Statement:
    """What the files of all environments have in common under one ID, or what a row of the page states."""

    actions: set[str] = field(default_factory=set)
    conditions: set[str] = field(default_factory=set)
    principals: set[str] = field(default_factory=set)
    anywhere: bool = False


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def read_rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables, without their heads."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        for row in table.splitlines()[2:]:
            yield [cell.strip() for cell in row.strip("|").split(" | ")]


def find_names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def read_statements(title: str) -> dict[str, Statement]:
    """Return the rows of the table with the columns statement and actions, resources and conditions, purpose."""
    rows = (row for row in read_rows(section(title)) if len(row) == 3)
    return {
        name: Statement(
            actions=set(actions),
            conditions={one for one in find_names(resources) if re.fullmatch(rf"({'|'.join(SERVICES)}):[\w/-]+", one)},
            principals={one for one in find_names(purpose) if one.endswith(".amazonaws.com") or one == "root"},
            anywhere="`*`" in resources,
        )
        for (name, *actions), resources, purpose in ((find_names(row[0]), row[1], row[2]) for row in rows)
    }


@cache
def read_infra(environment: str) -> Files:
    return read(INFRA, environment)


def read_policies(environment: str, role: str) -> list[Json]:
    pattern = re.compile(rf"ecs-tasks/{environment}/{role}-role-policy-\d+\.json")
    texts = [text for name, text in read_infra(environment).items() if pattern.fullmatch(name)]
    return [statement for text in texts for statement in json.loads(text)["Statement"]]


def classify(role: str, found: Mapping[str, Json]) -> str:
    """Return the title of the section with the statements of a role."""
    (service,) = found["trust"][0]["Principal"]["Service"]
    ids = {one["Sid"] for one in found["statements"]}
    if service == "ecs-tasks.amazonaws.com":
        return "Execution roles" if "PullImage" in ids else "Tasks"
    if service == "lambda.amazonaws.com":
        kinds = {"trigger": "Triggers", "notices": "Failure notices", "slack": "Notices in chats"}
        return kinds[role.rpartition("-")[2]]
    return {"scheduler.amazonaws.com": "Schedules", "states.amazonaws.com": "Workflows"}[service]


def merge(statements: Iterable[tuple[str, Json]]) -> dict[str, Statement]:
    merged: dict[str, Statement] = defaultdict(Statement)
    for name, one in statements:
        statement = merged[name]
        statement.actions |= set(as_list(one["Action"]))
        statement.conditions |= {key for keys in one.get("Condition", {}).values() for key in keys}
        statement.anywhere |= one["Resource"] in ("*", ["*"])
        statement.principals |= set(one.get("Principal", ()))
    return dict(merged)


@cache
def list_roles(environment: str) -> Mapping[str, Mapping[str, Json]]:
    return build_inventory(read_infra(environment), environment).roles


@cache
def find_roles() -> dict[str, list[Json]]:
    """Return the statements of all roles by the title of their section."""
    found: dict[str, list[Json]] = defaultdict(list)
    for environment in ENVIRONMENTS:
        for name, role in list_roles(environment).items():
            found[classify(name, role)] += role["statements"]
    return found


@pytest.mark.parametrize(
    "title", ["Execution roles", "Schedules", "Triggers", "Workflows", "Failure notices", "Notices in chats"]
)
def test_every_statement_of_the_roles_is_explained(title: str) -> None:
    assert read_statements(title) == merge((one["Sid"], one) for one in find_roles()[title])


def test_every_statement_of_the_tasks_is_explained() -> None:
    """A statement on objects joins its accesses, and has the actions of their rows."""
    rows, names = read_statements("Tasks"), set[str]()
    for one in find_roles()["Tasks"]:
        match = ACCESS.fullmatch(one["Sid"])
        parts = [f"{access}BUCKET" for access in re.findall("Read|Write|Delete", match[1])] if match else [one["Sid"]]
        if one["Sid"].removeprefix("List") in BUCKETS:
            parts = ["ListBUCKET"]
        explained = [rows[part] for part in parts]
        assert set(as_list(one["Action"])) == {action for row in explained for action in row.actions}
        assert {key for keys in one.get("Condition", {}).values() for key in keys} == explained[0].conditions
        names.update(parts)
    assert names == rows.keys()


def test_no_other_role_has_statements() -> None:
    titles = set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))
    assert find_roles().keys() <= titles


def test_every_statement_of_a_resource_is_explained() -> None:
    found = [one for name in ENVIRONMENTS for one in find_resource_statements(name)]
    assert read_statements("Policies of resources") == merge(found)


def find_resource_statements(environment: str) -> Iterator[tuple[str, Json]]:
    """Yield the statements of policies with principals, and the permissions of functions."""
    folder = f"ecs-tasks/{environment}"
    with reading_files(folder):
        for document in expand_data_sources(read_infra(environment), folder):
            statements = as_list(to_json(dict(document.arguments)).get("statement", []))
            for one in statements if document.type == "aws_iam_policy_document" else []:
                if "principals" in one and one["actions"] != ["sts:AssumeRole"]:
                    yield (
                        one["sid"],
                        {
                            "Action": one["actions"],
                            "Resource": one["resources"],
                            "Condition": {
                                rule["test"]: [rule["variable"]] for rule in as_list(one.get("condition", []))
                            },
                            "Principal": [name.rpartition(":")[2] for name in one["principals"]["identifiers"]],
                        },
                    )
        for resource in expand(read_infra(environment), folder):
            if resource.type == "aws_lambda_permission":
                given = to_json(dict(resource.arguments))
                name = given["statement_id"].replace(f"paid-leave-api-{environment}", "APPLICATION-ENV")
                keys = [SOURCES[argument] for argument in SOURCES.keys() & given.keys()]
                yield (
                    "WORKFLOW" if name in catalog.workflows else name,
                    {
                        "Action": given["action"],
                        "Resource": given["function_name"],
                        "Condition": {"": keys},
                        "Principal": [given["principal"]],
                    },
                )


def test_the_conditions_of_trust_policies_are_explained() -> None:
    rows = {find_names(row[1])[0]: set(find_names(row[2])) for row in read_rows(section("Who may assume a role"))}
    trusted: dict[str, set[str]] = {}
    for environment in ENVIRONMENTS:
        for role in list_roles(environment).values():
            for one in role["trust"]:
                (service,) = one["Principal"]["Service"]
                keys = {key for keys in one["Condition"].values() for key in keys}
                assert trusted.setdefault(service, keys) == keys
    assert trusted == rows


def test_every_statement_of_people_is_explained() -> None:
    found = [one for environment in ENVIRONMENTS for one in read_policies(environment, r"operators-[\w-]+")]
    assert read_statements("People") == merge((one["Sid"], one) for one in found)
    names = {name for environment in ENVIRONMENTS for name in read_infra(environment)}
    groups = {match[1] for name in names if (match := re.search(r"/operators-([\w-]+)-role-policy", name))}
    assert {find_names(row[0])[0] for row in read_rows(section("People")) if len(row) == 2} == groups


def test_the_rules_of_the_page_hold_for_all_statements() -> None:
    files = [one for name in ENVIRONMENTS for one in read_policies(name, r"[\w-]+")]
    for one in [*files, *(statement for found in find_roles().values() for statement in found)]:
        actions, resources = as_list(one["Action"]), as_list(one["Resource"])
        keys = {key for keys in one.get("Condition", {}).values() for key in keys}
        assert one["Effect"] == "Allow"
        assert "iam:PassRole" not in actions or "iam:PassedToService" in keys
        assert "ecs:RunTask" not in actions or (
            "ecs:cluster" in keys and all(name.endswith(":*") for name in resources)
        )
        assert "ecs:StopTask" not in actions or keys >= {"aws:ResourceTag/application", "aws:ResourceTag/environment"}


def read_deploy_rows(title: str) -> dict[str, set[str]]:
    """Return the steps that use each statement, from the tables below a subtitle."""
    text = section("Deploy role and plan role").partition(f"\n### {title}\n")[2].partition("\n### ")[0]
    return {name: set(row[1].split(", ")) for row in read_rows(text) for name in find_names(row[0])}


BY_NAME = read_deploy_rows("Resources with the environment's name")
BY_TAGS = read_deploy_rows("Resources with the environment's tags")
OTHERS = read_deploy_rows("Resources of other configurations")
BY_TYPE = read_deploy_rows("All resources of a type")
ANY_ACTION = {name: steps for name, steps in BY_TYPE.items() if ":" in name}
DEPLOY = {**BY_NAME, **BY_TAGS, **OTHERS, **BY_TYPE}


def test_every_statement_of_the_deploy_role_is_explained() -> None:
    found = merge((one["Sid"], one) for name in ENVIRONMENTS for one in read_policies(name, "deploy"))
    assert found.keys() == DEPLOY.keys() - ANY_ACTION.keys()
    assert found["Anything"].actions == ANY_ACTION.keys()


def test_the_plan_role_has_the_statements_that_a_plan_uses() -> None:
    found = merge((one["Sid"], one) for name in ENVIRONMENTS for one in read_policies(name, "plan"))
    assert found.keys() == {name for name, steps in DEPLOY.items() if "plan" in steps} - ANY_ACTION.keys()
    assert found["Anything"].actions == {name for name, steps in ANY_ACTION.items() if "plan" in steps}


def test_the_steps_are_those_whose_calls_need_the_statement() -> None:
    steps: dict[str, set[str]] = defaultdict(set)
    terraform = [call for calls in [*RESOURCES.values(), *DATA_SOURCES.values(), STATE] for call in calls]
    uses = [("image", one, one.list_actions(plan=False)) for one in PUSH]
    uses += [("commands", one, one.list_actions(plan=False)) for one in COMMANDS]
    uses += [("plan", one, one.list_actions(plan=True)) for one in terraform]
    uses += [("apply", one, [f"{one.service}:{name}" for name in one.write.split()]) for one in terraform]
    for step, call, actions in uses:
        for name in [make_label(call.target), *(actions if call.target == "anything" else ())] if actions else []:
            steps[name].add(step)
    assert {name: steps[name] for name in DEPLOY} == DEPLOY


def test_the_statements_of_the_deploy_role_are_limited_as_the_page_states() -> None:
    for environment in ENVIRONMENTS:
        for one in read_policies(environment, "deploy"):
            tags = {key for keys in one.get("Condition", {}).values() for key in keys if "Tag/" in key}
            assert (one["Sid"] in BY_TAGS) == (len(tags) == 2), one
            if one["Sid"] in BY_NAME:
                named = re.compile(rf"paid-leave-api[-/]{environment}")
                assert all(named.search(resource) for resource in one["Resource"]), one
            if one["Resource"] == ["*"]:
                assert one["Sid"] in BY_TYPE or one["Sid"] == "AnythingWithOurTags"
