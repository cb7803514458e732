"""Run a console script. An error is printed as a message with an exit code, without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from nightferry.contract import ExitCode
from nightferry.errors import NightferryError


def run_script(name: str, script: Callable[[], object]) -> None:
    """Call ``script``. Print the message of an error after ``name``, and exit with the error's code."""
    try:
        script()
    except NightferryError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of the output, such as head, has closed the pipe
        sys.stderr.close()
        sys.exit(ExitCode.BROKEN_PIPE)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
