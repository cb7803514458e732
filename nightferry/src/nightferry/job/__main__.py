"""``python -m nightferry.job PACKAGE.MODULE:FUNCTION [ARGUMENT …]``: run a job that has no console script.

Modules are found on Python's path and in the subfolder ``src`` of the current folder.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import NoReturn

from nightferry.contract import ExitCode
from nightferry.job.task import BackgroundTask
from nightferry.printable import make_printable


def main(arguments: list[str]) -> NoReturn:
    """Run the job that the first argument names, pass it the other arguments, and exit."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        _exit_with_usage_error("Usage: python -m nightferry.job PACKAGE.MODULE:FUNCTION [ARGUMENT …]")
    if Path("src").is_dir():
        sys.path.insert(0, str(Path("src").resolve()))
    try:
        job = getattr(importlib.import_module(module), function, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        _exit_with_usage_error(f"{name}: module '{error.name}' not found. Correct the name, or set PYTHONPATH.")
    if not isinstance(job, BackgroundTask):
        _exit_with_usage_error(f"{name} is not a job. Decorate the function with @background_task(NAME, SETTINGS).")
    job(rest)


def _exit_with_usage_error(problem: str) -> NoReturn:
    sys.stderr.write(f"{make_printable(problem)}\n")
    raise SystemExit(int(ExitCode.BAD_SETTINGS))


if __name__ == "__main__":
    main(sys.argv[1:])
