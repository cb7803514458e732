"""Topics, the people who receive their notices, and the notices of failed workflows."""

from __future__ import annotations

from nightferry.terraform import policies
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names


def build(names: Names) -> Document:
    """Build ``notices.tf.json``."""
    document = Document(
        "Topics, the recipients of their notices as the environment declares them, and the notices of failed "
        "workflows. Topics are encrypted, because the cause of a failure may quote the output of a task."
    )
    if names.catalog.topics:
        _add_topics(document, names)
    _add_e_mail_subscriptions(document, names)
    _add_chat_notices(document, names)
    _add_failure_notices(document, names)
    return document


def _add_topics(document: Document, names: Names) -> None:
    root = policies.allow("AdministerKey", ["kms:*"], ["*"])
    root["principals"] = {"type": "AWS", "identifiers": [names.global_arn("iam", "root")]}
    use = policies.allow("EncryptAlarmNotifications", ["kms:Decrypt", "kms:GenerateDataKey"], ["*"])
    use["principals"] = {"type": "Service", "identifiers": ["cloudwatch.amazonaws.com"]}
    use["condition"] = [{"test": "StringEquals", "variable": "aws:SourceAccount", "values": [names.aws.account]}]
    policy = document.add_data("aws_iam_policy_document", "topics_key", {"statement": [root, use]})
    document.add_resource(
        "aws_kms_key",
        "topics",
        {
            "description": f"Topics of {names.prefix}.",
            "enable_key_rotation": True,
            "policy": expression(f"{policy}.json"),
        },
    )
    for topic in names.catalog.topics.values():
        document.add_resource(
            "aws_sns_topic",
            slug(topic.name),
            {
                "name": f"{names.prefix}-{topic.name}",
                "display_name": f"{names.catalog.name} {names.environment.name}: {topic.name}",
                "kms_master_key_id": expression("aws_kms_key.topics.arn"),
            },
        )


def _add_e_mail_subscriptions(document: Document, names: Names) -> None:
    """Subscribe e-mail addresses. AWS deletes a subscription that nobody confirms for two days."""
    for topic, recipients in names.environment.notices.items():
        if recipients.emails:
            document.add_resource(
                "aws_sns_topic_subscription",
                f"{slug(topic)}_emails",
                {
                    "for_each": {email: email for email in recipients.emails},
                    "topic_arn": expression(f"aws_sns_topic.{slug(topic)}.arn"),
                    "protocol": "email",
                    "endpoint": expression("each.value"),
                },
            )


def _add_chat_notices(document: Document, names: Names) -> None:
    for topic, chat, secret in names.chat_notices:
        arguments: Block = {
            "source": "../../modules/chat_notices",
            "name": names.add_prefix(f"{topic}-{chat}", 64, f"the function for the notices of topic '{topic}'"),
            "topic_arn": expression(f"aws_sns_topic.{slug(topic)}.arn"),
            "chat": chat,
            "webhook_parameter": names.parameter(secret),
            "privacy": names.catalog.privacy.value,
            "log_retention_days": names.aws.log_retention_days,
            **policies.limit_roles(names),
        }
        if names.aws.parameters_key:
            arguments["parameters_key_arn"] = names.aws.parameters_key
        if names.aws.log_key:
            arguments["log_key_arn"] = names.aws.log_key
        document.add_module(f"{slug(topic)}_{chat}", arguments)


def _add_failure_notices(document: Document, names: Names) -> None:
    """Add the function that publishes a notice after each failed execution of a workflow with ``on_failure``."""
    workflows = {}
    for workflow in names.catalog.workflows.values():
        if (notice := workflow.on_failure) is None:
            continue
        # ARNs that are known before the apply, because they become part of the function's code.
        workflows[workflow.name] = {
            "state_machine_arn": names.arn("states", f"stateMachine:{names.naming.state_machine(workflow.name)}"),
            "rule": names.add_prefix(
                f"{workflow.name}-failed", 64, f"the failure notice of workflow '{workflow.name}'"
            ),
            "notice": {
                "workflow": workflow.name,
                "environment": names.environment.name,
                "topic": names.arn("sns", f"{names.prefix}-{notice.topic.name}"),
                "subject": names.resolve(workflow.failure_subject),
                "message": None if notice.message is None else names.resolve(notice.message),
            },
        }
    if not workflows:
        return
    arguments: Block = {
        "source": "../../modules/failure_notices",
        "name": names.add_prefix("failure-notices", 64, "the function for failure notices"),
        "workflows": workflows,
        "privacy": names.catalog.privacy.value,
        "topics_key_arn": expression("aws_kms_key.topics.arn"),
        "log_retention_days": names.aws.log_retention_days,
        **policies.limit_roles(names),
    }
    if names.aws.log_key:
        arguments["log_key_arn"] = names.aws.log_key
    document.add_module("failure_notices", arguments)
