"""State machines, with the definitions that the local engine runs."""

from __future__ import annotations

import json

from nightferry.catalog.declarations import Workflow
from nightferry.catalog.workflow_access import name_buckets
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names
from nightferry.terraform.overlap import apply_policy


def build(names: Names) -> Document:
    """Build ``workflows.tf.json``."""
    document = Document(
        "Workflows. Their definitions are in workflows/*.asl.json, as the local engine runs them, after a check of the "
        "overlap policy; Terraform inserts the ARNs."
    )
    for workflow in names.catalog.workflows.values():
        _add_state_machine(document, names, workflow)
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
