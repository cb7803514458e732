"""``nightferry verify``: check that every referenced resource exists and is accessible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from nightferry.aws.backend import AwsBackend
from nightferry.aws.session import Aws
from nightferry.aws.verify.verify import verify as on_aws
from nightferry.backend.runs import RunRequest
from nightferry.backend.verify.findings import Finding
from nightferry.cli.terminal.findings import report_findings
from nightferry.cli.terminal.options import AsJson, Env, current_user, print_status
from nightferry.cli.terminal.output import Terminal
from nightferry.cli.terminal.running import follow_to_end
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.local.verify import verify as local
from nightferry.terraform import synthesize
from nightferry.terraform.reading.expected import find_expected


def verify(
    env: Env = "local",
    prerequisites: Annotated[
        bool, typer.Option("--prerequisites", help="Check only the resources that the first deployment requires.")
    ] = False,
    image_tag: Annotated[
        str | None, typer.Option(help="Check the image with this tag. Default: the deployed tag.", metavar="TAG")
    ] = None,
    after_deploy: Annotated[
        bool,
        typer.Option("--after-deploy", help="Also check alarms, dead letters, logs and starts, on AWS."),
    ] = False,
    run: Annotated[
        str | None,
        typer.Option(help="With --after-deploy: run this task first, which checks its route to AWS.", metavar="TASK"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that every referenced resource exists and is accessible.

    Exit with 1 if a resource is missing, wrong or not accessible. The checks change nothing and do not read secret
    values; only --run starts a task.
    """
    if run is not None and not after_deploy:
        raise NightferryError("--run requires --after-deploy. Add it, or use: nightferry run TASK")
    if after_deploy and prerequisites:
        raise NightferryError("--after-deploy and --prerequisites exclude each other. Use one of them.")
    report_findings(_run_checks(env, prerequisites, image_tag, after_deploy, run), env, as_json=as_json)


def _run_checks(
    env: str, prerequisites: bool, image_tag: str | None, after_deploy: bool, task: str | None
) -> Iterator[Finding]:
    project = Project.find()
    environment = project.environment(env)
    if environment.aws is None:
        if after_deploy:
            raise NightferryError(
                f"Environment '{env}' runs on this machine, without a deployment. Omit --after-deploy."
            )
        return local(project.catalog, project.state)
    resources = AwsResources(project.catalog, environment)
    expected = find_expected(synthesize(project.catalog, environment), resources)
    aws = Aws(environment.aws.region, environment.aws.account)
    starts = AwsBackend(project, environment, aws=aws, report=print_status) if after_deploy else None
    if starts is not None and task is not None:
        id = starts.run_task(RunRequest(task, started_by=current_user()))
        # Its result is in the findings. Its lines go to the other stream, so that --json prints only JSON.
        follow_to_end(starts, id, env, Terminal(stderr=True), raw=True)
    return on_aws(resources, expected, aws, prerequisites=prerequisites, image_tag=image_tag, starts=starts)
