"""Follow nightferry/docs/getting-started.md on a new machine: an empty folder, and the wheel built from this checkout.

The limits are 3 minutes from the installation to the end of the first job, and 5 minutes for the page. With
``--picture``, the seconds of each command and its output are drawn in ``nightferry/docs/getting-started.svg``::

    PYTHONPATH=nightferry .venv/bin/python -m benchmarks.getting_started --picture
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from rich.text import Text

from benchmarks.judge import Limit, judge
from tests.pages.page import Ran, Reader, parse_page
from tests.pages.test_getting_started import PAGE, build_wheel, make_variables
from tools.terminal import export, new_console

FIRST_JOB_LIMIT_SECONDS = 180.0
PAGE_LIMIT_SECONDS = 300.0
FIRST_JOB = "nightferry init"
PICTURE = PAGE.with_suffix(".svg")
WIDTH = 120  # of the terminal in which the commands run
MOST_LINES = 14  # of the output of a command in the picture
CODE = re.compile(r"(?<=login\?code=)\S+")
HIDDEN = re.compile(r"^(cd|printf|mkdir|cp|\.) ")


def main() -> None:
    """Print the seconds of each command. Exit with 1 above a limit."""
    commands: list[Ran] = []

    def report(ran: Ran) -> None:
        print(f"{ran.seconds:6.1f} s  {ran.command}", flush=True)
        shown = [CODE.sub("…", line.replace(work, "/home/me")) for line in ran.lines]
        commands.append(replace(ran, lines=shown))

    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        build_wheel(folder / "wheels")
        (folder / "new").mkdir()
        reader = Reader(folder / "new", make_variables(folder / "wheels", folder / "programs"), report)
        reader.follow(parse_page(PAGE.read_text(encoding="utf-8")))
    first = next(number for number, ran in enumerate(commands) if ran.command.startswith(FIRST_JOB))
    installed = next(number for number, ran in enumerate(commands) if ran.command.startswith("pip install"))
    first_seconds = sum(ran.seconds for ran in commands[installed + 1 : first + 1])
    total = sum(ran.seconds for ran in commands)
    print(f"{total:6.1f} s  in all, without the time of a person to read and type")
    if "--picture" in sys.argv:
        PICTURE.write_text(draw(commands, total), encoding="utf-8")
        print(f"wrote {PICTURE.name}")
    judge(
        Limit("from the installation to the end of the first job", first_seconds, FIRST_JOB_LIMIT_SECONDS, "s"),
        Limit("all commands of the page", total, PAGE_LIMIT_SECONDS, "s"),
    )


def draw(commands: list[Ran], total: float) -> str:
    """Return an SVG of the commands with their seconds and the beginning of their output."""
    console = new_console(WIDTH)
    # A command is repeated while the page waits for its output, so that the last run has it.
    for ran in (list(repeated)[-1] for _, repeated in groupby(commands, key=lambda ran: ran.command)):
        console.print(Text.assemble(("$ ", "bold cyan"), (ran.command, "bold"), (f"   {ran.seconds:.1f} s", "green")))
        if HIDDEN.match(ran.command) or ran.command.startswith("pip"):
            continue
        for line in ran.lines[:MOST_LINES]:
            console.print(Text.from_ansi(line), soft_wrap=False, overflow="ellipsis", no_wrap=True)
        if len(ran.lines) > MOST_LINES:
            console.print("…", style="dim")
    console.print(f"\n{total:.0f} seconds for all commands", style="bold green")
    return export(console, "Getting started with Nightferry", "getting-started")


if __name__ == "__main__":
    main()
