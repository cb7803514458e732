"""``nightferry tasks`` and ``nightferry tasks --json``, printed from the cache if nothing has changed.

Otherwise the verb prints the list, and the cache gets a copy. Any other argument belongs to the verb alone.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from nightferry.cli import run_command
from nightferry.cli.terminal.catalog_cache import Entry, Recording
from nightferry.cli.terminal.streams import PipeClosed, describe_streams, echo_copy


def main() -> None:
    """Print the list."""
    entry = Entry(*sys.argv[1:], describe_streams())
    try:
        if (kept := entry.read()) is not None:
            echo_copy(kept)
            return
    except (KeyboardInterrupt, OSError, PipeClosed) as error:
        _end_like_a_verb(error)
    with Recording(entry) as recording:
        try:
            run_command("nightferry.cli.app")
        except SystemExit as ended:
            if not ended.code:
                recording.keep_output()
            raise


def _end_like_a_verb(error: BaseException) -> NoReturn:
    from nightferry.cli.terminal.entry import run_script  # slow to import

    def fail() -> None:
        raise error

    run_script("nightferry", fail)
    raise error
