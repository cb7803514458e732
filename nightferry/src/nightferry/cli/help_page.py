"""``nightferry --help``, printed without Typer and rich, whose imports take four times as long as all the rest.

The text equals that of Typer, which the tests compare. Typer prints it where it would look different: on a narrow
screen, without UTF-8, or with a variable that concerns colors.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from nightferry.cli import run_command
from nightferry.cli.terminal.entry import run_script
from nightferry.cli.terminal.streams import echo_styled, writes_utf_8
from nightferry.cli.verbs import SUMMARY, VERBS
from nightferry.contract import ExitCode

OPTIONS = (
    ("--version", "", "Show the version and exit."),
    ("--install-completion", "", "Install completion for the current shell."),
    ("--show-completion", "", "Show completion for the current shell, to copy it or customize the installation."),
    ("--help", "-h", "Show this message and exit."),
)
"""The options of ``nightferry`` itself: the long form, the short form and the text."""

_Piece = tuple[str, str]
_PLAIN_BLANK = ("", " ")
_TYPE = (("1;2;33", "<"), ("1;33", "bool"), ("1;2;33", ">"))
_NARROWEST = 72
_USUAL_WIDTH = 80  # without a terminal
_OTHER_LOOK = (
    *("FORCE_COLOR", "NO_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "TERMINAL_WIDTH"),
    *("_TYPER_FORCE_DISABLE_TERMINAL", "_NIGHTFERRY_COMPLETE", "JUPYTER_COLUMNS", "JUPYTER_LINES", "LINES"),
)
"""Variables with which Typer prints something else."""


def main() -> None:
    """Print the help. Exit with 2 if it was not requested by an option, as Typer does."""
    if _has_usual_look():
        run_script("nightferry", _print)
    else:
        run_command("nightferry.cli.app")


def _has_usual_look() -> bool:
    return (
        not any(name in os.environ for name in _OTHER_LOOK)
        and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
        and writes_utf_8()
        and _find_width() >= _NARROWEST
    )


def _print() -> None:
    echo_styled("\n".join(_Page(_find_width(), has_colors=sys.stdout.isatty()).format()))
    if not sys.argv[1:]:
        sys.exit(ExitCode.BAD_SETTINGS)


def _find_width() -> int:
    """Return the width of the terminal, found in the same way as in rich."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit():
        return int(columns)
    for descriptor in (0, 1, 2):
        try:
            return os.get_terminal_size(descriptor).columns or _USUAL_WIDTH
        except OSError:
            continue
    return _USUAL_WIDTH


class _Page:
    """The help for a terminal of ``width`` characters. A piece of a line is a text with the numbers of its style."""

    def __init__(self, width: int, *, has_colors: bool) -> None:
        self._width = width
        self._has_colors = has_colors

    def format(self) -> Iterator[str]:
        """Yield the lines."""
        yield self._join()
        yield self._join(_PLAIN_BLANK, ("1;33", "Usage: "), ("1", "nightferry [OPTIONS] COMMAND [ARGS]..."))
        yield self._join()
        yield self._join(_PLAIN_BLANK, ("", SUMMARY))
        yield self._join()
        long, short = (max(len(option[column]) for option in OPTIONS) for column in (0, 1))
        yield from self._draw_panel(
            "Options",
            [
                ([("1;36", name.ljust(long + 2)), ("1;32", letter.ljust(short + 6)), *_TYPE, ("", "  ")], text)
                for name, letter, text in OPTIONS
            ],
        )
        longest = max(len(verb.name) for verb in VERBS)
        for panel in dict.fromkeys(verb.panel for verb in VERBS):
            rows = [([("1;36", one.name.ljust(longest + 2))], one.text) for one in VERBS if one.panel == panel]
            yield from self._draw_panel(panel, rows)
        yield ""

    def _draw_panel(self, title: str, rows: Iterable[tuple[list[_Piece], str]]) -> Iterator[str]:
        """Yield a frame with rows, whose text is wrapped at the right of their first pieces."""
        yield self._join(("2", f"╭─ {title} ".ljust(self._width - 1, "─") + "╮"))
        for pieces, text in rows:
            start = sum(len(piece) for _, piece in pieces)
            room = self._width - start - 4
            for number, line in enumerate(_wrap(text, room)):
                first = pieces if number == 0 else [("", " " * start)]
                yield self._join(("2", "│ "), *first, ("", line.ljust(room)), ("2", " │"))
        yield self._join(("2", "╰".ljust(self._width - 1, "─") + "╯"))

    def _join(self, *pieces: _Piece) -> str:
        """Return a line of the full width."""
        missing = self._width - sum(len(text) for _, text in pieces)
        return "".join(self._paint(style, text) for style, text in pieces) + " " * missing

    def _paint(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if style and self._has_colors else text


def _wrap(text: str, width: int) -> Iterator[str]:
    """Yield lines of at most ``width`` characters. No word is longer."""
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line
