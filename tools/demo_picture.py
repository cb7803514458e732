"""Draw ``docs/demo.svg`` from two real runs of make demo: ``python tools/demo_picture.py``, or make pictures."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tools.terminal import export, new_console, run_on_terminal  # noqa: E402

PICTURE = ROOT / "docs" / "demo.svg"
COMMAND = [str(ROOT / ".venv" / "bin" / "paidleave-demo"), "--employers", "500"]
TITLE = "make demo: the nightly ETL, the files of the next day, and the outcome of every line"
WIDTH = 106
SECOND_DAY = "Three files arrive"
"""The first line of the second day that the picture shows: the lines before it are those of the first day again."""


def main() -> None:
    """Run the demo for two days and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        state = str(Path(folder) / ".nightferry")
        variables = {**os.environ, "NIGHTFERRY_STATE": state}
        days = [run_on_terminal(COMMAND, WIDTH, ROOT, variables) for _ in range(2)]
    first, second = ([line.replace(folder + "/", "") for line in day] for day in days)
    start = next(number for number, line in enumerate(second) if SECOND_DAY in line)
    PICTURE.write_text(draw(first, second[start:]), encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(ROOT)}")


def draw(first: list[str], second: list[str]) -> str:
    """Return the SVG of the lines of two days."""
    console = new_console(WIDTH)
    for prompt, lines in (("make demo", first), ("make demo        # the next day …", second)):
        console.print(Text.assemble(("$ ", "bold cyan"), (prompt, "bold cyan")))
        for line in lines:
            console.print(Text.from_ansi(line), overflow="ellipsis", no_wrap=True)
        console.print()
    return export(console, TITLE, "demo")


if __name__ == "__main__":
    main()
