"""State machines, with the definitions that the local engine runs, and the topics for their failures."""

from __future__ import annotations

import json

from nightferry.catalog.declarations import Workflow
from nightferry.catalog.workflow_access import name_buckets
from nightferry.terraform import policies
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names
from nightferry.terraform.overlap import apply_policy

FAILURE_NOTICES = "failure-notices"


def build(names: Names) -> Document:
    """Build ``workflows.tf.json``."""
    document = Document(
        "Workflows. Their definitions are in workflows/*.asl.json, as the local engine runs them, after a check of the "
        "overlap policy; Terraform inserts the ARNs. Topics are encrypted, because the cause of a failure may quote "
        "the output of a task."
    )
    for workflow in names.catalog.workflows.values():
        _add_state_machine(document, names, workflow)
    if names.catalog.topics:
        _add_topics(document, names)
    _add_failure_notices(document, names)
    return document


def render_template(names: Names, workflow: Workflow) -> str:
    """Return ``workflows/NAME.asl.json``: the definition with template variables for values that Terraform inserts."""
    definition = name_buckets(apply_policy(workflow), lambda bucket: names.bucket(bucket).name)
    return json.dumps(names.resolve_in_template(definition), indent=2, ensure_ascii=False) + "\n"


def _add_state_machine(document: Document, names: Names, workflow: Workflow) -> None:
    name = slug(workflow.name)
    variables = {
        variable: names.resolve(str(reference))
        for variable, reference in names.template_variables(dict(workflow.definition)).items()
    }
    if "security_groups" in variables:  # template variables must be text; the list has one element
        variables["security_groups"] = variables["security_groups"][0]
    variable_list = document.add_local(f"{name}_variables", variables)
    arguments: Block = {
        "//": f"{workflow.description} Declared in {workflow.declared_in.rpartition(':')[0]}.",
        "name": names.naming.state_machine(workflow.name),
        "role_arn": expression(f"aws_iam_role.workflow_{name}.arn"),
        "definition": expression(
            f'templatefile("${{path.module}}/workflows/{workflow.name}.asl.json", {variable_list})'
        ),
        "logging_configuration": {
            "level": "ALL",
            # Inputs and outputs of states contain no personal data and are needed to understand a failure.
            "include_execution_data": True,
            "log_destination": expression("aws_cloudwatch_log_group.workflows.arn") + ":*",
        },
        "tracing_configuration": {"enabled": True},
        # AWS rejects the state machine unless its role may manage the rule for runTask.sync.
        "depends_on": [f"aws_iam_role_policy.workflow_{name}"],
    }
    document.add_resource("aws_sfn_state_machine", name, arguments)


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
        "name": names.add_prefix(FAILURE_NOTICES, 64, "the function for failure notices"),
        "workflows": workflows,
        "topics_key_arn": expression("aws_kms_key.topics.arn"),
        "log_retention_days": names.aws.log_retention_days,
    }
    if names.aws.log_key:
        arguments["log_key_arn"] = names.aws.log_key
    document.add_module("failure_notices", arguments)


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
