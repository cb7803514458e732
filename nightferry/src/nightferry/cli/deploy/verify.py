"""``nightferry verify``: check that every referenced resource exists and is accessible."""

from __future__ import annotations

from collections import Counter
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
from nightferry.terraform import synthesize
from nightferry.terraform.reading.expected import find_expected

_SIGNS = {
    "ok": "[green]✓[/]",
    "warning": "[yellow]![/]",
    "wrong": "[bold red]✗[/]",
    "missing": "[bold red]✗[/]",
    "not allowed": "[bold red]✗[/]",
    "not checked": "[yellow]?[/]",
}


def verify(
    env: Env = "local",
    prerequisites: Annotated[
        bool, typer.Option("--prerequisites", help="Check only the resources that the first deployment requires.")
    ] = False,
    image_tag: Annotated[
        str | None, typer.Option(help="Check the image with this tag. Default: the deployed tag.", metavar="TAG")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that every referenced resource exists and is accessible.

    Exit with 1 if a resource is missing or not accessible. The checks change nothing and do not read secret values.
    """
    findings: list[Finding] = []
    for finding in _run_checks(env, prerequisites, image_tag):
        if not as_json:
            _print_finding(finding, findings[-1].group if findings else None)
        findings.append(finding)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print_summary(env, findings)
    if any(finding.is_failure for finding in findings):
        raise typer.Exit(1)


def _run_checks(env: str, prerequisites: bool, image_tag: str | None) -> Iterator[Finding]:
    project = Project.find()
    environment = project.environment(env)
    if environment.aws is None:
        return local(project.catalog, project.state)
    resources = AwsResources(project.catalog, environment)
    expected = find_expected(synthesize(project.catalog, environment), resources)
    aws = Aws(environment.aws.region, environment.aws.account)
    return on_aws(resources, expected, aws, prerequisites=prerequisites, image_tag=image_tag)


def _print_finding(finding: Finding, group: str | None) -> None:
    console = Console()
    if finding.group != group:
        console.print(f"[bold]{finding.group}[/]", highlight=False)
    word = "" if finding.verdict == "ok" else f" {finding.verdict}"
    console.print(f"  {_SIGNS[finding.verdict]} {escape(finding.name)}{word}", highlight=False, soft_wrap=True)
    if finding.detail:
        console.print(f"      {finding.detail}", highlight=False, markup=False, soft_wrap=True)


def _print_summary(env: str, findings: list[Finding]) -> None:
    failed = sum(finding.is_failure for finding in findings)
    counts = Counter(finding.verdict for finding in findings)
    text = (
        f"{counts['ok']} OK, {counts['warning']} warnings, {failed} missing, wrong or not allowed, "
        f"{counts['not checked']} not checked in {env}."
    )
    typer.echo(f"\n{text}")
