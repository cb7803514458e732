"""The warm interpreter from which :mod:`nightferry.testing.forked` forks programs.

``python -P -m nightferry.testing.zygote FD`` serves requests that arrive on the connected socket FD until it is closed.
For each request it imports the program's modules, forks, and replies with the process ID of the program.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import io
import json
import os
import runpy
import socket
import struct
import sys
import types
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct("!I")
KEPT_VARIABLES = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}  # Python's own variables that a fork keeps
_STREAMS = (("stdin", "rb", "strict"), ("stdout", "wb", "strict"), ("stderr", "wb", "backslashreplace"))


def send(connection: socket.socket, message: bytes, streams: list[int]) -> None:
    """Send a message with file descriptors."""
    socket.send_fds(connection, [_LENGTH.pack(len(message))], streams)
    connection.sendall(message)


def receive(connection: socket.socket, streams: int = 0) -> tuple[bytes, list[int]]:
    """Return the next message with its file descriptors; an empty one if the other side has closed, even within it."""
    head, descriptors, _, _ = socket.recv_fds(connection, _LENGTH.size, streams)
    if not head:
        return b"", []
    (length,) = _LENGTH.unpack(head)
    message = b""
    while len(message) < length and (part := connection.recv(length - len(message))):
        message += part
    return message if len(message) == length else b"", list(descriptors)


def serve(connection: socket.socket) -> dict[str, Any]:
    """Fork a program per request. Return in the forked program only, with the program to run."""
    while True:
        message, streams = receive(connection, 3)
        if not message:
            os._exit(0)
        request: dict[str, Any] = json.loads(message)
        _import(request["program"]["imports"])
        pids, reports = os.pipe()
        go, ready = os.pipe()
        if (parent := os.fork()) == 0:
            if (program := os.fork()) != 0:
                os.write(reports, b"%d" % program)
                os._exit(0)
            os.close(ready)
            os.read(go, 1)  # until the first parent has ended
            connection.detach()
            _become(request, streams)
            found: dict[str, Any] = request["program"]
            return found
        for descriptor in (reports, go, *streams):
            os.close(descriptor)
        os.waitpid(parent, 0)
        os.close(ready)
        pid = os.read(pids, 20)
        os.close(pids)
        send(connection, pid, [])


def _import(modules: list[str]) -> None:
    before = len(sys.modules)
    for module in modules:
        with suppress(Exception):
            if importlib.util.find_spec(module.partition(".")[0]) is not None:
                importlib.import_module(module)
    if len(sys.modules) > before:
        gc.collect()
        gc.freeze()  # so that a collection in a program does not copy the pages that it shares


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Apply the request to this process: its session, streams, folder, environment and arguments."""
    if request["new_session"]:
        os.setsid()
    high = [os.dup(stream) for stream in streams]  # so that no copy overwrites a stream that is still to be copied
    for standard, stream in enumerate(high):
        os.dup2(stream, standard)
    os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 65536))
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    program = request["program"]
    sys.argv = program["arguments"]
    if program["kind"] == "module":
        sys.modules.pop(program["name"], None)  # runpy executes it again, and would warn that it was imported
    for option in program["warnings"]:
        warnings.simplefilter(option)
    for standard, (name, mode, errors) in enumerate(_STREAMS):
        unbuffered = mode == "wb" and bool(os.environ.get("PYTHONUNBUFFERED"))
        binary: Any = os.fdopen(standard, mode, buffering=0 if unbuffered else -1, closefd=False)
        text = io.TextIOWrapper(binary, "utf-8", errors, write_through=unbuffered)
        text.reconfigure(line_buffering=name == "stderr")
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


def run(program: dict[str, Any]) -> None:
    """Run the program as Python's command line would."""
    name: str = program["name"]
    if program["kind"] == "module":
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(name, run_name="__main__", alter_sys=True)
        return
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    if program["kind"] == "code":
        sys.path.insert(0, "")
        exec(compile(name, "<string>", "exec"), main.__dict__)  # noqa: S102 - it is the program
        return
    sys.path.insert(0, str(Path(name).resolve().parent))
    main.__dict__["__file__"] = name
    exec(compile(Path(name).read_bytes(), name, "exec"), main.__dict__)  # noqa: S102 - it is the program


if __name__ == "__main__":
    run(serve(socket.socket(fileno=int(sys.argv[1]))))
