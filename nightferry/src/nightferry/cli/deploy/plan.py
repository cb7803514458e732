"""``nightferry plan``: show Terraform's plan for an environment without an AWS account."""

from __future__ import annotations

from typing import Annotated

import typer

from nightferry.cli.terminal.options import AsJson, print_json
from nightferry.cli.terminal.streams import echo_block
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.terraform import synthesize
from nightferry.terraform.provider.offline import plan_offline


def plan(
    env: Annotated[str, typer.Option("--env", help="Environment on AWS: a file in environments/.", metavar="ENV")],
    image_tag: Annotated[str, typer.Option(help="Tag of the image that the tasks would run.")] = "example",
    as_json: AsJson = False,
    terraform_json: Annotated[
        bool, typer.Option("--terraform-json", help="Print Terraform's own JSON, which tools such as checkov read.")
    ] = False,
) -> None:
    """Show Terraform's plan for an environment that was never deployed, without an AWS account."""
    project = Project.find()
    environment = project.environment(env)
    resources = AwsResources(project.catalog, environment)
    planned = plan_offline(resources, synthesize(project.catalog, environment), image_tag)
    if terraform_json:
        print_json(planned.document)
    elif as_json:
        print_json([{"address": address, "actions": actions} for address, actions in planned.actions.items()])
    else:
        echo_block(planned.text)
