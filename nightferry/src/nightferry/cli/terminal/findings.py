"""Print the findings of ``nightferry verify`` and ``nightferry doctor``."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from nightferry.backend.findings import Finding

_SIGNS = {
    "ok": "[green]✓[/]",
    "warning": "[yellow]![/]",
    "wrong": "[bold red]✗[/]",
    "missing": "[bold red]✗[/]",
    "not allowed": "[bold red]✗[/]",
    "not checked": "[yellow]?[/]",
}


def print_finding(finding: Finding, group: str | None) -> None:
    """Print a finding, after the name of its group unless the finding before was of ``group`` too."""
    console = Console()
    if finding.group != group:
        console.print(f"[bold]{finding.group}[/]", highlight=False)
    word = "" if finding.verdict == "ok" else f" {finding.verdict}"
    console.print(f"  {_SIGNS[finding.verdict]} {escape(finding.name)}{word}", highlight=False, soft_wrap=True)
    if finding.detail:
        console.print(f"      {finding.detail}", highlight=False, markup=False, soft_wrap=True)
