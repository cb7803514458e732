"""Roles: the trust policy that all tasks share, and a role for each workflow. The task module creates task roles."""

from __future__ import annotations

from nightferry.contract import TASK_PRINCIPAL
from nightferry.terraform import policies, workflow_roles
from nightferry.terraform.document import Document
from nightferry.terraform.names import Names

TASKS_TRUST = "tasks_trust"


def build(names: Names) -> Document:
    """Build ``iam.tf.json``."""
    document = Document(
        "Roles. Each task has a task role with its grants, and an execution role for its secrets, image and log group. "
        "The task's module in tasks.tf.json creates both. Each schedule, trigger and workflow may only start the "
        "families of its tasks and pass their roles."
    )
    trusted = policies.trust(TASK_PRINCIPAL, policies.build_source_conditions(names, [names.arn("ecs", "*")]))
    document.add_data("aws_iam_policy_document", TASKS_TRUST, {"statement": [trusted]})
    for workflow in names.catalog.workflows.values():
        workflow_roles.add_role(document, names, workflow)
    return document
