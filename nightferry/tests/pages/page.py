"""Read a documentation page as a reader does: write its files, run its commands in order, and compare their output.

A page follows these rules:

- a code block whose first line is a comment with a path is a file of that content; ``…, at the end`` extends the file;
- each line of an ``sh`` block is a command; ``# in a second terminal`` starts it in the background, and
  ``# exit code N`` names the exit code of a command that fails;
- the word ``ID`` in a command stands for the last ID of a run or an execution in the output before it;
- a ``text`` block has lines of the output of the commands before it; ``…`` stands for any text or for any lines. An
  address in it with a login code is opened;
- ``Ctrl-C`` in a paragraph ends the commands in the background.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.terminal import read_to_end

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+/\S+|\S+\.\w+)(, at the end)?")
_BACKGROUND = "# in a second terminal"
_EXIT_CODE = re.compile(r"  # exit code (\d+)$")
_ID = re.compile(r"\b[0-9a-f]{32}\b|\b[a-z][a-z0-9-]*-\d{8}T\d{6}-[0-9a-f]{8}\b")
_LOGIN = re.compile(r"http://\S+/login\?code=\S+")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\(B|\r|\n")
_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class WriteFile:
    """A file of the page."""

    path: str
    content: str
    extends: bool


@dataclass(frozen=True)
class RunCommand:
    """A command of the page."""

    text: str
    background: bool
    exit_code: int = 0


@dataclass(frozen=True)
class Expect:
    """The output that the page shows for the commands of the block before it."""

    excerpt: str


@dataclass(frozen=True)
class Interrupt:
    """Ctrl-C in the second terminal."""


Action = WriteFile | RunCommand | Expect | Interrupt


def parse_page(text: str) -> Iterator[Action]:
    """Yield the actions of a page in order."""
    position = 0
    for block in _BLOCK.finditer(text):
        if "Ctrl-C" in text[position : block.start()]:
            yield Interrupt()
        position = block.end()
        language, content = block.groups()
        named = _FILE.fullmatch(content.partition("\n")[0])
        if named:
            yield WriteFile(named[1], content.partition("\n")[2].lstrip("\n"), bool(named[2]))
        elif language == "sh":
            for line in content.replace("\\\n", "").splitlines():
                failing = _EXIT_CODE.search(line)
                code = int(failing[1]) if failing else 0
                yield RunCommand(line.partition("  #")[0].strip(), _BACKGROUND in line, code)
        elif language == "text":
            yield Expect(content.strip("\n"))
        else:
            raise ValueError(f"The {language} block that starts with {content[:40]!r} is neither a file nor a command.")
    if "Ctrl-C" in text[position:]:
        yield Interrupt()


@dataclass(frozen=True)
class Ran:
    """A command that ended: its output as lines of a terminal (with colors), exit code and duration."""

    command: str
    lines: list[str]
    exit_code: int
    seconds: float

    @property
    def text(self) -> str:
        """The output without colors."""
        return "\n".join(_STYLE.sub("", line).rstrip() for line in self.lines)


def apply(action: WriteFile, folder: Path) -> None:
    """Write or extend a file of the page in the project's folder."""
    file = folder / action.path
    file.parent.mkdir(parents=True, exist_ok=True)
    before = file.read_text(encoding="utf-8").rstrip("\n") + "\n\n" if action.extends else ""
    file.write_text(before + action.content, encoding="utf-8")


class PageFailed(AssertionError):
    """A command of the page failed, or its output differs from that on the page."""


@dataclass
class Reader:
    """A person with a terminal in an empty ``folder``, who follows a page. ``report`` is called after each command."""

    folder: Path
    variables: dict[str, str]
    report: Callable[[Ran], None] = lambda ran: None
    opened: list[str] = field(default_factory=list)
    """The HTML of the addresses that the reader opened."""
    _last_id: str = "ID"
    _block: list[Ran] = field(default_factory=list)
    _background: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _current: Path | None = None

    def follow(self, actions: Iterator[Action]) -> None:
        """Carry out the actions. Raises PageFailed."""
        self._current = self.folder
        try:
            for action in actions:
                self._carry_out(action)
        finally:
            self.interrupt()

    def _carry_out(self, action: Action) -> None:
        match action:
            case WriteFile():
                apply(action, self._folder)
                self._block = []
            case RunCommand(background=True):
                self._start(action.text)
            case RunCommand():
                self._block.append(self._run(re.sub(r"\bID\b", self._last_id, action.text), action.exit_code))
            case Expect():
                self._compare(action.excerpt)
                if "/login?code=" in action.excerpt:
                    self.opened.append(_open(self._block[-1].text))
                self._block = []
            case Interrupt():
                self.interrupt()

    @property
    def _folder(self) -> Path:
        assert self._current is not None
        return self._current

    def _compare(self, excerpt: str) -> None:
        """Compare the output with the excerpt. The last command is repeated while something still runs behind it."""
        deadline = time.monotonic() + 60
        while (missing := find_missing("\n".join(ran.text for ran in self._block), excerpt)) is not None:
            if not self._background or time.monotonic() > deadline:
                shown = "\n".join(f"$ {ran.command}\n{ran.text}" for ran in self._block)
                raise PageFailed(f"The output has no line {missing!r}:\n{shown}")
            time.sleep(0.5)
            last = self._block[-1]
            self._block[-1] = self._run(last.command, last.exit_code)

    def _run(self, command: str, expected_code: int = 0) -> Ran:
        """Run a command on a pseudo-terminal. Its folder and variables remain for the next one, as in a shell."""
        state = self.folder.parent / f"{self.folder.name}.state"
        script = f"{command}\ncode=$?; export -p > {shlex.quote(str(state))}; pwd; exit $code"
        folder = self.folder.parent / f"{self.folder.name}.pwd"
        script = script.replace("pwd;", f"pwd > {shlex.quote(str(folder))};")
        restore = f". {shlex.quote(str(state))}; " if state.exists() else ""
        controller, terminal = pty.openpty()
        started = time.monotonic()
        with subprocess.Popen(
            ["bash", "-c", restore + script],
            cwd=self._folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
        ) as process:
            os.close(terminal)
            drawn = read_to_end(controller)
            code = process.wait(timeout=_TIMEOUT_SECONDS)
        self._current = Path(folder.read_text(encoding="utf-8").strip())
        ran = Ran(command, render(drawn.decode(errors="replace")), code, time.monotonic() - started)
        self.report(ran)
        for found in _ID.findall(ran.text):
            self._last_id = found
        if code != expected_code:
            raise PageFailed(f"$ {command}\n{ran.text}\nexit code {code}")
        return ran

    def _start(self, command: str) -> None:
        state = self.folder.parent / f"{self.folder.name}.state"
        script = f". {shlex.quote(str(state))}; exec {command}"
        file = self.folder.parent / f"{self.folder.name}.log"
        with file.open("wb") as log:
            self._background.append(
                subprocess.Popen(
                    ["bash", "-c", script],
                    cwd=self._folder,
                    env=self.variables,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        deadline = time.monotonic() + 60
        while not file.stat().st_size:  # a person waits for the first line, too
            if time.monotonic() > deadline or self._background[-1].poll() is not None:
                raise PageFailed(f"$ {command} has not started: {file.read_text(encoding='utf-8')}")
            time.sleep(0.1)

    def interrupt(self) -> None:
        """Press Ctrl-C in the second terminal and wait for the end of its command."""
        for process in self._background:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=60)
        self._background = []


def _open(text: str) -> str:
    """Return the HTML of the page at the address in a text, as a browser with cookies gets it."""
    address = _LOGIN.search(text)
    assert address is not None, text
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(address[0], timeout=30) as response:
        content: bytes = response.read()
    return content.decode()


def render(drawn: str) -> list[str]:
    """Return the lines that remain on a terminal, with their colors. Nightferry only erases lines and goes up."""
    lines, row, position = [""], 0, 0
    for control in [*_CONTROL.finditer(drawn), None]:
        text = drawn[position : control.start() if control else None]
        lines[row] += text
        if control is None:
            break
        position = control.end()
        match control[0][0], control[0][-1]:
            case "\r", _ if drawn[position : position + 1] != "\n":
                lines[row] = ""
            case "\n", _:
                row += 1
                if row == len(lines):
                    lines.append("")
            case "\x1b", "m":
                lines[row] += control[0]
            case "\x1b", "K":
                lines[row] = ""
            case "\x1b", "A":
                row = max(0, row - int(control[0][2:-1] or 1))
    while lines and not _STYLE.sub("", lines[-1]).strip():
        lines.pop()
    return lines


def find_missing(output: str, excerpt: str) -> str | None:
    """Return the first line of the excerpt that the output does not have after the lines before it, or None."""
    rest = [" ".join(line.split()) for line in output.splitlines()]
    for line in excerpt.splitlines():
        if line.strip() in ("", "…"):
            continue
        pattern = re.compile(".*".join(re.escape(" ".join(part.split())) for part in line.split("…")))
        while rest and not _matches(pattern, rest[0], line):
            rest.pop(0)
        if not rest:
            return line
        rest.pop(0)
    return None


def _matches(pattern: re.Pattern[str], line: str, expected: str) -> bool:
    found = pattern.search(line)
    if found is None:
        return False
    starts = expected.startswith("…") or line[: found.start()].strip() == ""
    ends = expected.rstrip().endswith("…") or line[found.end() :].strip() == ""
    return starts and ends
