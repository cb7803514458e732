"""Check that the declared recipients of notices are subscribed, and that people have confirmed their subscriptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightferry.aws.verify.deployed import DEPLOY
from nightferry.aws.verify.probe import Probe, Problem
from nightferry.backend.verify.findings import Finding
from nightferry.environments.aws_resources import AwsResources

_PENDING = "PendingConfirmation"  # instead of the ARN (API reference, ListSubscriptionsByTopic)


def check_recipients(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    """Yield a finding for each recipient of each topic."""
    for topic, recipients in resources.environment.notices.items():
        found: dict[str, str] = {}
        listed = probe.check(
            "notices",
            topic,
            "sns:ListSubscriptionsByTopic",
            lambda topic=topic, found=found: found.update(read_subscriptions(resources, probe.client("sns"), topic)),  # type: ignore[misc]
            DEPLOY,
            missing=("NotFound", "NotFoundException"),
        )
        problems = {f"{topic}: {email}": _find_email_problem(email, found) for email in recipients.emails}
        for chat, _ in recipients.webhooks:
            function = resources.arn("lambda", f"function:{resources.naming.prefix}-{topic}-{chat}")
            problems[f"{topic}: {chat}"] = None if function in found else ("missing", DEPLOY)
        for name, problem in problems.items():
            if listed.verdict != "ok":
                problem = listed.verdict, listed.detail
            yield Finding("notices", name, *(problem or ("ok", "")))


def read_subscriptions(resources: AwsResources, sns: Any, topic: str) -> dict[str, str]:
    """Return the ARN of each subscription of a topic, or ``PendingConfirmation``, by its address or function."""
    arn = resources.arn("sns", f"{resources.naming.prefix}-{topic}")
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    return {one["Endpoint"]: one["SubscriptionArn"] for page in pages for one in page.get("Subscriptions", [])}


def is_pending(subscription: str | None) -> bool:
    """Return True for the subscription of a person who has not confirmed it."""
    return subscription == _PENDING


def _find_email_problem(email: str, found: dict[str, str]) -> Problem:
    if email not in found:
        return "missing", f"Not subscribed: AWS deletes a subscription that nobody confirms for two days. {DEPLOY}"
    if is_pending(found[email]):
        return "warning", (
            "The subscription is not confirmed, so this person receives no notices. The link is in an e-mail from "
            "AWS Notifications."
        )
    return None
