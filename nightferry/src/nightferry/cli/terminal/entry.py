"""Run a console script: an error is a sentence and an exit code, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from nightferry.contract import ExitCode
from nightferry.errors import NightferryError


def run_script(name: str, script: Callable[[], object]) -> None:
    """Call ``script``. Print an error's message after ``name``, and exit with its code."""
    try:
        script()
    except NightferryError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of the output, such as head, has closed it
        sys.stderr.close()
        sys.exit(ExitCode.BROKEN_PIPE)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
