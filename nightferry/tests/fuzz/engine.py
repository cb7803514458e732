"""What the local engine and the runtime of jobs read from files, sockets, processes and the store."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from nightferry import storage
from nightferry.catalog.declarations import Secret
from nightferry.dashboard.access import Access
from nightferry.dashboard.gate import Gate
from nightferry.environments import state_folder
from nightferry.http_server import Server, listen
from nightferry.job import new_relic, result
from nightferry.job.leases import stored
from nightferry.job.leases.state import LeaseError, LeaseState
from nightferry.job.logs import JsonFormatter
from nightferry.job.runtime import Runtime
from nightferry.job.supervision import lines as supervision_lines
from nightferry.job.supervision import log
from nightferry.job.supervision.log import SupervisedLog
from nightferry.local.engine.run_output import RunEvents, RunOutput
from nightferry.local.integrations import functions, objects
from nightferry.local.monitoring import status_server
from nightferry.local.services import data_folders, secrets
from nightferry.local.store import Filter, Store
from nightferry.local.store import file as store_file
from nightferry.local.triggers import object_content
from nightferry.local.triggers.object_folder import FolderWatch
from nightferry.testing.fuzzing import NOTHING, Parser, Unusable, from_json
from nightferry.testing.fuzzing.parser import Form


def _read_secret(data: bytes) -> Any:
    path = secrets.get_path(Path.cwd(), "load/key")
    path.parent.mkdir(exist_ok=True, mode=0o700)
    path.touch(0o600)
    path.write_bytes(data)
    values = secrets.read_values(Path.cwd(), {"KEY": Secret("load/key")}, "task load")
    return secrets.Mask(values.values())(data)


@cache
def _make_store() -> bytes:
    store = Store(Path.cwd() / "seed" / "nightferry.db")
    store._db.execute("PRAGMA journal_mode = DELETE")
    store.close()
    return store.file.read_bytes()


def _open_store(data: bytes) -> Any:
    file = Path.cwd() / "state" / "nightferry.db"
    file.parent.mkdir(exist_ok=True)
    for each in file.parent.iterdir():
        each.unlink()
    file.write_bytes(data)
    store = Store(file, busy_timeout=0.1)
    try:
        return store.lines(["r"], 0)
    finally:
        store.close()


def _watch(data: bytes) -> Any:
    """List a folder with a file of this name. Names that the file system refuses are unusable."""
    root = Path.cwd() / "bucket"
    root.mkdir(exist_ok=True)
    name = data.replace(b"/", b"_").replace(b"\0", b"")[:200]
    try:
        path = root / os.fsdecode(name)
        path.write_bytes(b"x")
    except OSError:
        raise Unusable from None
    try:
        watch = FolderWatch(root, Filter("bucket", "", ""), {})
        found = watch.list_files()
        for key, fingerprint in found.items():
            object_content.compute_version(watch.path(key), fingerprint)
        [item.name for item in storage.session().walk(f"file://{root}")]
        return found or NOTHING
    finally:
        path.unlink()


@cache
def _serve() -> int:
    """Start the status server, and return its port."""
    health = SimpleNamespace(find_problems=_find_no_problems)
    metrics = SimpleNamespace(render=lambda: b"")
    listener = listen("127.0.0.1", 0)
    access = Access.on_loopback("token", listener.getsockname()[1])
    routes = status_server.create_routes(health, metrics)  # type: ignore[arg-type]
    server = Server(Gate(Starlette(routes=routes), access, PlainTextResponse("Log in.", 401)), handle_signals=False)
    threading.Thread(target=lambda: server.run([listener]), daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


async def _find_no_problems() -> dict[str, str]:
    return {}


def _request(data: bytes) -> Any:
    """Send the bytes of a request, then a valid request, which must get a response."""
    response = _exchange(data)
    assert not response or response.startswith(b"HTTP/1.1 "), response[:100]
    healthy = _exchange(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % _serve())
    assert healthy.startswith(b"HTTP/1.1 200"), healthy[:100]
    return response if response.startswith(b"HTTP/1.1 200") else NOTHING


def _exchange(data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", _serve()), timeout=20) as connection:
        received = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                received += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def _read_object(value: Any) -> Any:
    """Read an object for a workflow, whose key is in the input."""
    key = value.get("Key") if isinstance(value, dict) else None
    bucket = Path.cwd() / "objects"
    bucket.mkdir(exist_ok=True)
    (bucket / "a").write_bytes(b"x")
    return objects._read({"Bucket": f"file://{bucket}", "Key": key})


def _parse_outcome(data: bytes) -> Any:
    return functions._parse_outcome("arn:aws:states:::lambda:invoke", data, 1)


def _decode_lease(data: bytes) -> Any:
    state = stored._decode_state(data, "s3://b/l")
    if state is not None:
        LeaseState.parse_holder(state.holder)
    return state


def _dumps(*values: Any) -> Callable[[], list[bytes]]:
    return lambda: [json.dumps(value).encode() for value in values]


_MESSAGES = (
    b'{"time": "t", "message": "m", "event": "other"}\nE{"event": "started"}\nS["hunter2"]\nB\nR{"exit_code": 0}\n'
    b'{"time": "t", "level": "INFO"}\n'
)
_LEASE = {
    "holder": "owner run-1 run-2",
    "acquired_at": "2026-11-24T00:00:00+00:00",
    "renewed_at": "2026-11-24T00:00:00+00:00",
    "expires_at": "2026-11-24T00:01:00+00:00",
}


def _read_identity(data: bytes) -> Any:
    state = Path.cwd() / "identity"
    state.mkdir(exist_ok=True, mode=0o700)
    file = state / state_folder.IDENTITY_FILE
    file.touch(0o600)
    file.write_bytes(data)
    identity = state_folder.read_identity(state)
    return (identity and state_folder.find_owner(identity)) or identity


def _read_owner(data: bytes) -> Any:
    folder = Path.cwd() / "database"
    folder.mkdir(exist_ok=True, mode=0o700)
    file = folder / data_folders._OWNER_FILE
    file.touch(0o600)
    file.write_bytes(data)
    return data_folders._read_owner(folder) or NOTHING


@cache
def _make_log() -> SupervisedLog:
    formatter = JsonFormatter(Runtime.read("task", {"NIGHTFERRY_RUN_ID": "r"}))
    return SupervisedLog(formatter, os.open(os.devnull, os.O_WRONLY))


def _supervise(data: bytes) -> Any:
    """Read what the process of a job sends on the channel of its runtime, and what it prints."""
    log = _make_log()
    for start in range(0, len(data), 700):
        log.add_messages(data[start : start + 700])
        log.add_output(start // 700 % 2, data[start : start + 700])
    log.end_output()
    return log


class _NoStore:
    """A store that keeps nothing."""

    def add_event(self, *_: object) -> None: ...

    def add_lines(self, *_: object) -> None: ...

    def add_report(self, *_: object) -> bool:
        return True


def _store_output(data: bytes) -> Any:
    async def store() -> Any:
        events, output = RunEvents(_NoStore(), "r"), RunOutput(_NoStore(), "r", secrets.Mask(["hunter2"]))  # type: ignore[arg-type]
        for each in (events, output):
            reader = asyncio.StreamReader()
            reader.feed_data(data)
            reader.feed_eof()
            await each.store(reader)
        return events.skip_reason

    return asyncio.run(store()) or NOTHING


PARSERS = [
    Parser(
        "identity of a state folder",
        _read_identity,
        _dumps({"token": "0123456789abcdef" * 2, "path": "/nowhere", "inode": 7}),
        (state_folder.IdentityLost,),
        (state_folder.read_identity, state_folder.find_owner),
        Form.JSON,
        weight=3,
    ),
    Parser(
        "owner of a database",
        _read_owner,
        _dumps({"service": "database", "token": "0123456789abcdef" * 2, "state": "/nowhere"}),
        (),
        (data_folders._read_owner,),
        Form.JSON,
        weight=3,
    ),
    Parser(
        "messages and output of a job",
        _supervise,
        lambda: [
            _MESSAGES,
            b'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: x\n-----BEGIN X KEY-----\n',
        ],
        (),
        (log, supervision_lines),
        words=(
            b'E{"event": "ended"}\n',
            b"S[1]\n",
            b'{"time": "',
            b"-----BEGIN PRIVATE KEY-----\n",
            b"\nB\n",
            b"\nR{}\n",
        ),
        garbage=(b"",),
        weight=3,
    ),
    Parser(
        "events of a run",
        _store_output,
        lambda: [
            b'{"event": "skipped", "message": "busy"}\n{"event": "ended"}\n',
            b'{"event": "skipped", "message": "m"}\nE2',
        ],
        (),
        (RunEvents, RunOutput.store, RunOutput._add),
        weight=3,
    ),
    Parser(
        "file of a secret",
        _read_secret,
        lambda: [b"hunter2-secret\n", b"line one\r\nline two\n"],
        (secrets.MissingSecret,),
        (secrets.read_values, secrets.Mask),
        weight=3,
        disk=256 * 1024,
        personal=("hunter2-secret",),
    ),
    Parser(
        "store's file",
        _open_store,
        lambda: [_make_store()],
        (store_file.StoreUnusable, sqlite3.DatabaseError),
        (store_file.StoreFile.__init__, store_file.StoreFile._prepare),
        weight=0.3,
        max_bytes=1 << 20,
        disk=4 << 20,
    ),
    Parser(
        "name of an object",
        _watch,
        lambda: ["in é b.txt".encode(), b"a+b%20.csv"],
        (),
        (FolderWatch._list, object_content.compute_version),
        weight=3,
        garbage=(b"",),
    ),
    Parser(
        "request to the engine",
        _request,
        lambda: [
            b"GET /health HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % _serve(),
            b"GET /metrics HTTP/1.1\r\nHost: localhost:%d\r\nAuthorization: Bearer token\r\nContent-Length: 1\r\n\r\na"
            % _serve(),
            b"GET /health?a=%%20 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n\r\n" % _serve(),
        ],
        (),
        (),  # the library's parser runs in a thread
        weight=0.3,
        words=(b"\r\n\r\n", b"Content-Length: 9999999\r\n", b"HTTP/2.0"),
    ),
    Parser(
        "key of an object for a workflow",
        from_json(_read_object),
        _dumps({"Key": "a"}, {"Key": "b/c"}),
        (),
        (objects._read,),
        Form.JSON,
        (b"../", b"\\u0000"),
        weight=3,
    ),
    Parser(
        "result of a callable",
        _parse_outcome,
        _dumps({"output": 1}, {"errorType": "E", "errorMessage": "m"}),
        (),
        (functions._parse_outcome,),
        Form.JSON,
    ),
    Parser("lease", _decode_lease, _dumps(_LEASE), (LeaseError,), (stored._decode_state, LeaseState), Form.JSON),
    Parser(
        "result of a job",
        from_json(result.convert_result),
        _dumps({"rows": 7, "by": {"a": [1, "b"]}}),
        (result.InvalidResult,),
        (result,),
        Form.JSON,
    ),
    Parser(
        "report for New Relic",
        from_json(lambda value: new_relic.flatten_report(value if isinstance(value, dict) else {"a": value})),
        _dumps({"rows": 7, "by": {"a": [1, "b"]}}),
        (),
        (new_relic.flatten_report, new_relic._flatten),
        Form.JSON,
    ),
]
