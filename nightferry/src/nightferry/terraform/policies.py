"""IAM in readable blocks: statements, policies and roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nightferry.terraform.document import Block, Document, expression
from nightferry.terraform.names import Names


def statement(
    sid: str,
    actions: Iterable[str],
    resources: Iterable[str],
    conditions: Iterable[tuple[str, str, Sequence[str]]] = (),
) -> Block:
    """One statement that allows; conditions are (test, variable, values)."""
    block: Block = {"sid": sid, "actions": list(actions), "resources": list(resources)}
    if rules := [{"test": test, "variable": variable, "values": list(values)} for test, variable, values in conditions]:
        block["condition"] = rules
    return block


def trust(service: str, conditions: Iterable[tuple[str, str, Sequence[str]]] = ()) -> Block:
    """The statement by which a service may assume a role."""
    block: Block = {
        "actions": ["sts:AssumeRole"],
        "principals": {"type": "Service", "identifiers": [service]},
    }
    if rules := [{"test": test, "variable": variable, "values": list(values)} for test, variable, values in conditions]:
        block["condition"] = rules
    return block


def ours(names: Names, sources: Sequence[str] = ()) -> list[tuple[str, str, Sequence[str]]]:
    """Conditions against a confused deputy: only for our account, and only on behalf of ``sources`` (ARNs)."""
    conditions: list[tuple[str, str, Sequence[str]]] = [("StringEquals", "aws:SourceAccount", [names.aws.account])]
    if sources:
        conditions.append(("ArnLike", "aws:SourceArn", sources))
    return conditions


def role(
    document: Document,
    names: Names,
    name: str,
    *,
    called: str,
    description: str,
    trusted: Block,
    statements: Sequence[Block],
    tags: Mapping[str, str] | None = None,
) -> str:
    """A role with its trust and its one policy; the answer is the role's address.

    ``called`` follows the prefix in the role's name.
    """
    full = names.role_name(called)
    assume = document.data("aws_iam_policy_document", f"{name}_trust", {"statement": [trusted]})
    arguments: Block = {
        "name": full,
        "description": description,
        "assume_role_policy": expression(f"{assume}.json"),
    }
    if tags:
        arguments["tags"] = dict(tags)
    address = document.resource("aws_iam_role", name, arguments)
    if statements:
        policy = document.data("aws_iam_policy_document", name, {"statement": list(statements)})
        document.resource(
            "aws_iam_role_policy",
            name,
            {"name": full, "role": expression(f"{address}.id"), "policy": expression(f"{policy}.json")},
        )
    return address


def dead_letters_of_rules(document: Document, queue: str, rules: Sequence[str]) -> None:
    """Let classic rules (ARNs) keep dead letters: EventBridge writes them as itself, not with the rule's role."""
    block = statement(
        "RulesKeepWhatTheyCouldNotDeliver",
        ["sqs:SendMessage"],
        [expression(f"aws_sqs_queue.{queue}.arn")],
        [("ArnEquals", "aws:SourceArn", rules)],
    )
    block["principals"] = {"type": "Service", "identifiers": ["events.amazonaws.com"]}
    policy = document.data("aws_iam_policy_document", queue, {"statement": [block]})
    document.resource(
        "aws_sqs_queue_policy",
        queue,
        {"queue_url": expression(f"aws_sqs_queue.{queue}.url"), "policy": expression(f"{policy}.json")},
    )
