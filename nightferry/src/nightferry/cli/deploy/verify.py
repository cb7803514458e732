"""``nightferry verify``: does what the declarations refer to exist, and may it be used?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from nightferry.aws.session import Aws
from nightferry.aws.verify.verify import verify as on_aws
from nightferry.backend.findings import Finding
from nightferry.cli.terminal.options import AsJson, Env, print_json
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.local.verify import verify as local

_SIGNS = {
    "ok": "[green]✓[/]",
    "missing": "[bold red]✗[/]",
    "not allowed": "[bold red]✗[/]",
    "not checked": "[yellow]?[/]",
}


def verify(
    env: Env = "local",
    prerequisites: Annotated[
        bool, typer.Option("--prerequisites", help="Only what must exist before the first deployment.")
    ] = False,
    image_tag: Annotated[
        str | None, typer.Option(help="Look for the image with this tag instead of the one deployed.", metavar="TAG")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask whether everything that the declarations refer to exists and may be used. Exit code 1 if something does not.

    Nothing is changed, and no secret's value is read.
    """
    findings: list[Finding] = []
    for finding in _findings(env, prerequisites, image_tag):
        if not as_json:
            _print(finding, findings[-1].group if findings else None)
        findings.append(finding)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _conclude(env, findings)
    if any(finding.is_failure for finding in findings):
        raise typer.Exit(1)


def _findings(env: str, prerequisites: bool, image_tag: str | None) -> Iterator[Finding]:
    project = Project.find()
    environment = project.environment(env)
    if environment.aws is None:
        return local(project.catalog, project.state)
    aws = Aws(environment.aws.region, environment.aws.account)
    return on_aws(AwsResources(project.catalog, environment), aws, prerequisites=prerequisites, image_tag=image_tag)


def _print(finding: Finding, group: str | None) -> None:
    console = Console()
    if finding.group != group:
        console.print(f"[bold]{finding.group}[/]", highlight=False)
    word = "" if finding.verdict == "ok" else f" {finding.verdict}"
    console.print(f"  {_SIGNS[finding.verdict]} {escape(finding.name)}{word}", highlight=False, soft_wrap=True)
    if finding.detail:
        console.print(f"      {finding.detail}", highlight=False, markup=False, soft_wrap=True)


def _conclude(env: str, findings: list[Finding]) -> None:
    wrong = sum(finding.is_failure for finding in findings)
    unknown = sum(finding.verdict == "not checked" for finding in findings)
    text = f"{len(findings) - wrong - unknown} OK, {wrong} missing or not allowed, {unknown} not checked in {env}."
    typer.echo(f"\n{text}")
