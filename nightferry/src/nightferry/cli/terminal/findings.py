"""Print the findings of ``nightferry verify`` and ``nightferry doctor``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

import typer
from rich.markup import escape

from nightferry.backend.verify.findings import Finding
from nightferry.cli.terminal.options import print_json
from nightferry.cli.terminal.output import Terminal
from nightferry.cli.terminal.streams import echo
from nightferry.presentation.quantities import format_quantity

_SIGNS = {
    "ok": "[green]✓[/]",
    "warning": "[yellow]![/]",
    "wrong": "[bold red]✗[/]",
    "missing": "[bold red]✗[/]",
    "not allowed": "[bold red]✗[/]",
    "not checked": "[yellow]?[/]",
}


def report_findings(found: Iterable[Finding], env: str | None, *, as_json: bool) -> None:
    """Print each finding at once, then their numbers; exit with 1 if one is a failure.

    ``env`` is the environment that was checked, of which some resources may not be accessible; None for a machine.
    """
    findings: list[Finding] = []
    for finding in found:
        if not as_json:
            _print(finding, findings[-1].group if findings else None)
        findings.append(finding)
    failed = sum(finding.is_failure for finding in findings)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        counts = Counter(finding.verdict for finding in findings)
        warnings = format_quantity(counts["warning"], "warning")
        unchecked = "" if env is None else f", {counts['not checked']} not checked in {env}"
        echo(f"\n{counts['ok']} OK, {warnings}, {failed} missing, wrong or not allowed{unchecked}.")
    if failed:
        raise typer.Exit(1)


def _print(finding: Finding, group: str | None) -> None:
    """Print a finding, after the name of its group unless the finding before was of ``group`` too."""
    console = Terminal()
    if finding.group != group:
        console.print(f"[bold]{finding.group}[/]", highlight=False)
    word = "" if finding.verdict == "ok" else f" {finding.verdict}"
    console.print(f"  {_SIGNS[finding.verdict]} {escape(finding.name)}{word}", highlight=False, soft_wrap=True)
    if finding.detail:
        console.print(f"      {finding.detail}", highlight=False, markup=False, soft_wrap=True)
