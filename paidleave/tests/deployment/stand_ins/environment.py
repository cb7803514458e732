"""``environment.py FOLDER``: create FOLDER/.venv with the code in FOLDER and the packages of this interpreter."""

from __future__ import annotations

import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

SCRIPT = """#!/bin/sh
exec "$(dirname "$0")/python" -c '
import sys
from {module} import {name}
sys.argv[0] = "{command}"
sys.exit({name}())
' "$@"
"""

folder = Path(sys.argv[1])
target = folder / ".venv"
venv.create(target, symlinks=True)
(packages,) = target.glob("lib/python3.*/site-packages")
projects = [folder / "nightferry", folder / "paidleave"]
paths = [*(project / "src" for project in projects), Path(sysconfig.get_path("purelib"))]
(packages / "projects.pth").write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
for project in projects:
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for command, function in metadata["scripts"].items():
        module, _, name = function.partition(":")
        file = target / "bin" / command
        file.write_text(SCRIPT.format(module=module, name=name, command=command), encoding="utf-8")
        file.chmod(0o755)
for marker in (".runtime", ".dev"):
    (target / marker).touch()
