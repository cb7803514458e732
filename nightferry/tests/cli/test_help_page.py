"""``nightferry --help`` prints what Typer prints, without importing it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest
from rich.text import Text
from typer.testing import CliRunner

from nightferry.cli.app import app

SCRIPT = "import sys, atexit\n{first}\nimport nightferry.cli\nnightferry.cli.main()"
USUAL = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONUTF8": "1"}


def run(*arguments: str, first: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    program = SCRIPT.format(first=first)
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=USUAL | variables, check=False)


def print_with_typer(width: int, **variables: str) -> str:
    return CliRunner().invoke(app, ["--help"], env={"COLUMNS": str(width), **variables}, color=True).output


@pytest.mark.sampled(2)
@pytest.mark.parametrize("width", [71, 72, 80, 131])
def test_the_text_equals_that_of_typer(width: int) -> None:
    assert run("--help", COLUMNS=str(width)).stdout == print_with_typer(width)


def test_the_colors_on_a_terminal_equal_those_of_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.rich_utils.FORCE_TERMINAL", True)
    screen, terminal = pty.openpty()
    command = [sys.executable, "-c", SCRIPT.format(first=""), "-h"]
    with subprocess.Popen(command, stdout=terminal, stdin=terminal, env=USUAL | {"COLUMNS": "80", "TERM": "xterm"}):
        os.close(terminal)
        shown = b"".join(read_all(screen)).decode().replace("\r\n", "\n")

    assert "\x1b[1;36mdoctor" in shown
    assert list_styled(shown) == list_styled(print_with_typer(80, TERM="xterm"))


def read_all(screen: int) -> Iterator[bytes]:
    try:
        while chunk := os.read(screen, 4096):
            yield chunk
    except OSError:  # the program has ended
        os.close(screen)


def list_styled(shown: str) -> list[list[tuple[str, str]]]:
    """Return the characters of each line with their styles. The style of a blank is not visible."""
    lines = []
    for line in shown.splitlines():
        text = Text.from_ansi(line)
        styles = ["" for _ in text.plain]
        for span in text.spans:
            styles[span.start : span.end] = [str(span.style)] * (span.end - span.start)
        lines.append([(one, "" if one == " " else style) for one, style in zip(text.plain, styles, strict=True)])
    return lines


def test_help_imports_neither_typer_nor_a_verb() -> None:
    slow = {"typer", "rich", "pydantic", "asyncio", "pathlib", "subprocess", "nightferry.catalog", "nightferry.cli.app"}
    loaded = run("--help", first="atexit.register(lambda: print(*sys.modules))").stdout.splitlines()[-1].split()

    assert "nightferry.cli.help_page" in loaded
    assert not slow & set(loaded)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"PYTHONIOENCODING": "latin-1"}])
def test_typer_prints_an_unusual_help(variables: dict[str, str]) -> None:
    ended = run("--help", first="atexit.register(lambda: print('typer' in sys.modules))", **variables)

    assert ended.stdout.endswith("True\n")


def test_no_verb_is_an_error_with_the_help() -> None:
    ended, requested = run(), run("-h")

    assert (ended.returncode, requested.returncode) == (2, 0)
    assert ended.stdout == requested.stdout
