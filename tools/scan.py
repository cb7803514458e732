"""Check infra/ with checkov, and fail if a check could not run: ``make scan``.

checkov logs a check that crashes and a block that it cannot read, and exits with 0. This program therefore fails if
checkov logs a problem, cannot parse a file, or runs no check. It scans a copy of infra/ in which each dynamic block is
an ordinary one, because checkov's checks crash on dynamic blocks in JSON.

It then scans Terraform's plans of the environments, in which a resource has its final values, such as the definition of
a container. The files have the policies, whose text a plan without an account does not know.

Usage: python tools/scan.py CHECKOV INFRA PLANS
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_PROBLEM = re.compile(r"\[(WARNI|ERROR|CRITI)\w*\s*\]|^Traceback |Failed to run check|^\w*(Error|Exception)\b", re.M)


def main(checkov: str, infra: Path, plans: Path) -> int:
    """Scan ``infra`` and the ``plans`` with the program ``checkov``; return the exit code of make scan."""
    with tempfile.TemporaryDirectory(prefix="scan-") as folder:
        copy = Path(folder) / "infra"
        copy_without_dynamic_blocks(infra, copy)
        command = [checkov, "--config-file", str(infra / ".checkov.yaml")]
        codes = [
            scan([*command, "--framework", framework, "--directory", str(target)], Path(folder) / f"{framework}.json")
            for framework, target in (("terraform_json", copy), ("terraform_plan", plans))
        ]
    return max(codes)


def scan(command: list[str], report: Path) -> int:
    """Run checkov, with its report in a file of that name; return its exit code, or 1 if its checks are incomplete."""
    options = ("--output", "cli", "--output", "json", "--output-file-path", f"console,{report}")
    ended = subprocess.run(
        [*command, *options],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "LOG_LEVEL": "WARNING"},  # another level hides the checks that crash
    )
    if problem := find_problem(ended.stderr, report):
        sys.stderr.write(ended.stderr)
        sys.stdout.flush()
        print(f"make scan: checkov did not check everything: {problem}", file=sys.stderr)
        return 1
    return ended.returncode


def find_problem(log: str, report: Path) -> str | None:
    """Return why the checks are incomplete, by checkov's log and its report, or None if they are complete."""
    if found := _PROBLEM.search(log):
        line = log[log.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
        return f"it logged: {line[:300]}"
    try:
        read = json.loads(report.read_text())
        summary = (read[0] if isinstance(read, list) else read)["summary"]
        errors, checks = summary["parsing_errors"], summary["passed"] + summary["failed"]
    except (OSError, ValueError, LookupError, TypeError):
        return "it wrote no report"
    if errors:
        return f"it could not parse {errors} files"
    return None if checks else "it ran no check"


def copy_without_dynamic_blocks(infra: Path, target: Path) -> None:
    """Copy ``infra``, and replace each dynamic block in the Terraform JSON by a block with its content."""
    shutil.copytree(infra, target, ignore=shutil.ignore_patterns(".terraform"))
    for file in target.rglob("*.tf.json"):
        file.write_text(json.dumps(_expand(json.loads(file.read_text())), indent=2))


def _expand(value: Any) -> Any:
    if isinstance(value, list):
        return [_expand(item) for item in value]
    if not isinstance(value, dict):
        return value
    expanded = {key: _expand(item) for key, item in value.items() if key != "dynamic"}
    dynamic = value.get("dynamic", {})
    for blocks in dynamic if isinstance(dynamic, list) else [dynamic]:
        for name, block in blocks.items():
            contents = block if isinstance(block, list) else [block]
            expanded[name] = [_expand(content["content"]) for content in contents]
    return expanded


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
