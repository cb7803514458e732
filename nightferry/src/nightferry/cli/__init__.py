"""The command line: ``nightferry`` and ``run-ecs-task``. Each verb has a module with its options.

The console scripts call the functions of this module, which imports the commands only after Ctrl-C is handled.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module


def main() -> None:
    """Run the console script ``nightferry``."""
    arguments = sys.argv[1:]
    if os.environ.get("_NIGHTFERRY_COMPLETE"):  # PowerShell leaves it empty
        run_command("nightferry.cli.quick_completion")
    elif arguments in (["--help"], ["-h"], []):
        run_command("nightferry.cli.help_page")
    elif arguments in (["tasks"], ["tasks", "--json"]):
        run_command("nightferry.cli.task_list")
    else:
        run_command("nightferry.cli.app")


def run_ecs_task() -> None:
    """Run the console script ``run-ecs-task``."""
    run_command("nightferry.cli.run.run_ecs_task")


def run_command(module: str) -> None:
    """Import a command and run it. During the import, which takes tenths of a second, Ctrl-C ends the process."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # otherwise the caller ignores Ctrl-C, for example with nohup
        signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(_INTERRUPTED))
    gc.disable()  # what a module creates stays, so that collections find nothing
    command = import_module(module)
    gc.enable()
    signal.signal(signal.SIGINT, before)
    command.main()


_INTERRUPTED = 130  # ExitCode.INTERRUPTED, which is not imported yet
