"""``nightferry doctor``: what this machine lacks for the project."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import typer

from nightferry.backend.findings import Finding
from nightferry.cli.terminal.findings import print_finding
from nightferry.cli.terminal.options import AsJson, print_json
from nightferry.local.doctor import examine


def doctor(as_json: AsJson = False) -> None:
    """Check what this machine lacks for the project, and print the fix of each problem.

    It checks Python, packages, environment files, time, ports, disk space, file permissions, programs and secrets, and
    changes nothing. Exit with 1 if something that the project needs is missing.
    """
    findings: list[Finding] = []
    for finding in examine(Path.cwd()):
        if not as_json:
            print_finding(finding, findings[-1].group if findings else None)
        findings.append(finding)
    failed = sum(finding.is_failure for finding in findings)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        counts = Counter(finding.verdict for finding in findings)
        typer.echo(f"\n{counts['ok']} OK, {counts['warning']} warnings, {failed} missing, wrong or not allowed.")
    if failed:
        raise typer.Exit(1)
