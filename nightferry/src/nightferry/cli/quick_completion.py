"""Completion of the name after a verb, such as ``nightferry run load``, without Typer if the cache has the names.

A person waits for each completion, and Typer with the verb takes longer than everything else. It completes all other
command lines, and fills the cache. The output for each shell equals that of Typer, which the tests compare.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence

from nightferry.cli import run_command
from nightferry.cli.terminal.catalog_cache import NAMES, Entry, Recording
from nightferry.cli.terminal.streams import echo_block

KINDS = {
    "backfill": "schedules",
    "env": "tasks",
    "next": "schedules",
    "run": "tasks",
    "start": "workflows",
    "starts": "schedules",
}
"""The declarations whose names the first argument of a verb can have."""
_LINE = re.compile(r"[\w./-]+\s+([a-z]+)\s+([a-z0-9][a-z0-9-]*)?")  # without quotes, options and further arguments


def main() -> None:
    """Print the names that begin with the last word of the command line."""
    entry = Entry(NAMES)
    kept = entry.read()
    if kept is None:
        with Recording(entry):
            run_command("nightferry.cli.app")
    elif not _complete(json.loads(kept)):
        run_command("nightferry.cli.app")


def _complete(names: Mapping[str, Sequence[str]]) -> bool:
    """Return False for a command line or a shell that Typer has to serve."""
    shell = os.environ["_NIGHTFERRY_COMPLETE"]
    is_bash = shell == "complete_bash"
    found = _LINE.fullmatch(os.environ.get("COMP_WORDS" if is_bash else "_TYPER_COMPLETE_ARGS", ""))
    if found is None or found[1] not in KINDS or (is_bash and os.environ.get("COMP_CWORD") != "2"):
        return False
    offered = [name for name in names[KINDS[found[1]]] if name.startswith(found[2] or "")]
    match shell, os.environ.get("_TYPER_COMPLETE_FISH_ACTION"):
        case ("complete_bash", _) | ("complete_fish", "get-args"):
            echo_block("\n".join(offered))
        case "complete_zsh", _:
            quoted = "\n".join(f'"{name}"' for name in offered)
            echo_block(f"_arguments '*: :(({quoted}))'" if offered else "_files")
        case "complete_fish", "is-args":
            sys.exit(0 if offered else 1)
        case _:
            return False
    return True
