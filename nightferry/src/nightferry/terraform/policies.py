"""Build IAM statements, policies and roles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from nightferry.terraform.document import Block, Document, expression
from nightferry.terraform.names import Names


def allow(
    sid: str,
    actions: Iterable[str],
    resources: Iterable[str],
    conditions: Iterable[tuple[str, str, Sequence[str]]] = (),
) -> Block:
    """Return a statement that allows actions; conditions are tuples of test, variable and values.

    Raises ValueError without a resource, because IAM refuses such a statement.
    """
    block: Block = {"sid": sid, "actions": list(actions), "resources": list(resources)}
    if not block["resources"]:
        raise ValueError(f"statement {sid} has no resource")
    if rules := [{"test": test, "variable": variable, "values": list(values)} for test, variable, values in conditions]:
        block["condition"] = rules
    return block


def trust(service: str, conditions: Iterable[tuple[str, str, Sequence[str]]] = ()) -> Block:
    """Return the statement that allows a service to assume a role."""
    block: Block = {
        "actions": ["sts:AssumeRole"],
        "principals": {"type": "Service", "identifiers": [service]},
    }
    if rules := [{"test": test, "variable": variable, "values": list(values)} for test, variable, values in conditions]:
        block["condition"] = rules
    return block


def make_label(name: str) -> str:
    """Return a declaration's name as the end of a statement ID, in which IAM allows only letters and digits."""
    return "".join(part.capitalize() for part in re.findall("[0-9A-Za-z]+", name))


def make_sids_unique(statements: Iterable[Block]) -> list[Block]:
    """Return the statements with a number after each ID that an earlier statement has: IAM refuses repeated IDs.

    Labels of different names can be equal, such as those of ``a-1`` and ``a1``.
    """
    result: dict[str, Block] = {}
    for statement in statements:
        sid, number = statement["sid"], 1
        while sid in result:
            number += 1
            sid = f"{statement['sid']}{number}"
        result[sid] = statement | {"sid": sid}
    return list(result.values())


def build_source_conditions(names: Names, sources: Sequence[str] = ()) -> list[tuple[str, str, Sequence[str]]]:
    """Return conditions against the confused deputy: only this account, and only the ``sources`` (ARNs)."""
    conditions: list[tuple[str, str, Sequence[str]]] = [("StringEquals", "aws:SourceAccount", [names.aws.account])]
    if sources:
        conditions.append(("ArnLike", "aws:SourceArn", sources))
    return conditions


def limit_roles(names: Names) -> Block:
    """Return the argument of a role, or of a module with roles, that sets the environment's permissions boundary."""
    return {"permissions_boundary": names.aws.permissions_boundary} if names.aws.permissions_boundary else {}


def add_role(
    document: Document,
    names: Names,
    name: str,
    *,
    role_name: str,
    description: str,
    trusted: Block,
    statements: Sequence[Block],
    tags: Mapping[str, str] | None = None,
) -> str:
    """Add a role with its trust policy and its only policy, and return its address.

    ``role_name`` is the part of the name after the prefix.
    """
    full = names.role_name(role_name)
    assume = document.add_data("aws_iam_policy_document", f"{name}_trust", {"statement": [trusted]})
    arguments: Block = {
        "name": full,
        "description": description,
        "assume_role_policy": expression(f"{assume}.json"),
        **limit_roles(names),
    }
    if tags:
        arguments["tags"] = dict(tags)
    address = document.add_resource("aws_iam_role", name, arguments)
    if statements:
        policy = document.add_data("aws_iam_policy_document", name, {"statement": make_sids_unique(statements)})
        document.add_resource(
            "aws_iam_role_policy",
            name,
            {"name": full, "role": expression(f"{address}.id"), "policy": expression(f"{policy}.json")},
        )
    return address


def allow_dead_letters(document: Document, queue: str, rules: Sequence[str]) -> None:
    """Allow classic rules (ARNs) to send dead letters, which EventBridge sends itself and not with the rule's role."""
    block = allow(
        "SendDeadLetters",
        ["sqs:SendMessage"],
        [expression(f"aws_sqs_queue.{queue}.arn")],
        [("ArnEquals", "aws:SourceArn", rules)],
    )
    block["principals"] = {"type": "Service", "identifiers": ["events.amazonaws.com"]}
    policy = document.add_data("aws_iam_policy_document", queue, {"statement": [block]})
    document.add_resource(
        "aws_sqs_queue_policy",
        queue,
        {"queue_url": expression(f"aws_sqs_queue.{queue}.url"), "policy": expression(f"{policy}.json")},
    )
