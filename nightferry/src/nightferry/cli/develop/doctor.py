"""``nightferry doctor``: what this machine lacks for the project."""

from __future__ import annotations

from pathlib import Path

from nightferry.cli.terminal.findings import report_findings
from nightferry.cli.terminal.options import AsJson
from nightferry.local.doctor import examine


def doctor(as_json: AsJson = False) -> None:
    """Check what this machine lacks for the project, and print the fix of each problem.

    It checks Python, packages, environment files, time, ports, disk space, file permissions, programs and secrets, and
    changes nothing. Exit with 1 if something that the project needs is missing.
    """
    report_findings(examine(Path.cwd()), None, as_json=as_json)
