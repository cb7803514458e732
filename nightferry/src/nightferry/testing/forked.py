"""Python programs as processes that start in milliseconds, for tests that start many of them.

:class:`Popen` and :func:`run` accept the arguments of ``subprocess``. On Linux, a Python program is forked from an
interpreter that has already imported the program's modules. The program is an ordinary child process of the test, with
its own environment, pipes, signals and exit code. ``subprocess`` itself starts all other commands, and programs with
options that a fork does not support.

A forked program differs in three ways: it shares the hash seed of the other programs, modules that it imports first
were imported under the default warning filters, and its memory counts the modules that earlier programs needed.
"""

from __future__ import annotations

import ast
import atexit
import ctypes
import functools
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nightferry.testing import zygote

_PR_SET_CHILD_SUBREAPER = 36
_INTERPRETER = re.compile(r"#!(?:/bin/sh\n'''exec' )?\"?([^\"\n]+?)\"?(?: \"\$0\" .*)?$", re.MULTILINE)
# What the verbs of the toolkit's scripts import when they run, which would cost each program half a second. No module
# is here that a job must not have imported, such as New Relic's agent.
_VERBS = (
    "nightferry.cli.inspect.logs",
    "nightferry.cli.inspect.status",
    "nightferry.cli.run.redrive",
    "nightferry.cli.run.run",
    "nightferry.cli.run.start",
    "nightferry.cli.run.up",
    "nightferry.local.backend",
    "nightferry.local.up",
)
_LATE_IMPORTS = {"nightferry": _VERBS, "run-ecs-task": ("nightferry.aws.backend",)}
_lock = threading.Lock()


class Popen(subprocess.Popen[Any]):
    """``subprocess.Popen``; a program of this Python is forked from a warm interpreter."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, *rest: Any) -> None:
        """Fork the program if a fork supports all options; otherwise start it with the parent class."""
        (close_fds, pass_fds, cwd, env, _, _, shell) = rest[:7]
        (stdin_read, stdin_write, stdout_read, stdout_write, stderr_read, stderr_write) = rest[7:13]
        (restore_signals, *privileges, umask, new_session, process_group) = rest[13:]
        program = _find_program(args) if not (executable or preexec_fn or shell or pass_fds) else None
        environment = dict(os.environ if env is None else env)
        plain = (
            program is None
            or not close_fds
            or not restore_signals
            or any(value is not None for value in privileges)
            or (umask, process_group) != (-1, -1)
            or any(name.startswith("PYTHON") for name in environment.keys() - zygote.KEPT_VARIABLES)
        )
        if plain:
            super()._execute_child(args, executable, preexec_fn, *rest)  # type: ignore[misc]
            return
        request = {
            "program": program,
            "directory": os.fspath(cwd) if cwd is not None else str(Path.cwd()),
            "environment": environment,
            "new_session": new_session,
        }
        streams = [
            standard if stream == -1 else stream
            for standard, stream in enumerate((stdin_read, stdout_write, stderr_write))
        ]
        self.pid = _fork(json.dumps(request).encode(), streams)
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]
            stdin_read, stdin_write, stdout_read, stdout_write, stderr_read, stderr_write
        )


def run(
    command: Sequence[str],
    *,
    input: Any = None,
    capture_output: bool = False,
    check: bool = False,
    timeout: float | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """Run a command to its end, as ``subprocess.run`` does."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **options) as process:
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    if check and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, out, err)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _find_program(arguments: Any) -> dict[str, Any] | None:
    """Return the program that a command runs in this Python; None for any other command."""
    if sys.platform != "linux" or isinstance(arguments, str | bytes | os.PathLike):
        return None
    words = [os.fsdecode(word) for word in arguments]
    if words[0] == sys.executable:
        del words[0]
    elif not _is_console_script(Path(words[0])):
        return None
    filters: list[str] = []
    while words[:2] == ["-W", "error"]:
        filters.append(words[1])
        del words[:2]
    match words:
        case ["-c", code, *rest]:
            program = {"kind": "code", "name": code, "arguments": ["-c", *rest], "imports": _list_imports(code)}
        case ["-m", module, *rest]:
            program = {"kind": "module", "name": module, "arguments": [module, *rest], "imports": [module]}
        case [name, *_] if not name.startswith("-"):
            imports = [*_list_imports_of_file(Path(name)), *_LATE_IMPORTS.get(Path(name).name, ())]
            program = {"kind": "script", "name": name, "arguments": words, "imports": imports}
        case _:
            return None
    return program | {"warnings": filters}


@functools.cache
def _is_console_script(script: Path) -> bool:
    """Return True if a program stands beside this Python, and its first lines name it.

    The folder can be written in another way, such as ``tests/../.venv/bin``. A path with a space, or a long one, is in
    the second line, which the shell executes.
    """
    folder = Path(sys.executable).parent
    with suppress(OSError, UnicodeDecodeError):
        start = "\n".join(script.read_text(encoding="utf-8").splitlines()[:2])
        found = _INTERPRETER.match(start)
        return found is not None and script.parent.samefile(folder) and Path(found[1]).parent.samefile(folder)
    return False


def _list_imports_of_file(script: Path) -> list[str]:
    with suppress(OSError, UnicodeDecodeError):
        return _list_imports(script.read_text(encoding="utf-8"))
    return []


def _list_imports(code: str) -> list[str]:
    """Return the modules that a program imports when it starts; none if it is not valid Python."""
    found: list[str] = []
    with suppress(SyntaxError, ValueError):
        for node in ast.parse(code).body:
            if isinstance(node, ast.Import):
                found += [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.append(node.module)
    return found


def _fork(request: bytes, streams: list[int]) -> int:
    """Return the process ID of the forked program, which is a child of this process."""
    with _lock:
        server = _start_server()
        # The program's first parent ends at once; the kernel then gives the program to its next ancestor that
        # reaps children. It is this process during this call only: init still adopts later orphans of tests.
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        try:
            zygote.send(server, request, streams)
            return int(zygote.receive(server)[0])
        finally:
            _prctl(_PR_SET_CHILD_SUBREAPER, 0)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


@functools.cache
def _start_server() -> socket.socket:
    """Start the warm interpreter of this process. It ends when this process ends for any reason."""
    ours, theirs = socket.socketpair()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-P", "-m", zygote.__name__, str(theirs.fileno())]
    with theirs:
        process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], cwd="/")
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours
