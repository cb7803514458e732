"""mypy and pyright infer, check and complete the names that the author of a job or a catalog uses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import nightferry

SOURCE = Path(__file__).parents[2] / "src"
PYRIGHT = Path(__file__).parent / "node_modules" / "pyright"
NEEDS_PYRIGHT = pytest.mark.skipif(
    not PYRIGHT.is_dir() or shutil.which("node") is None, reason="npm has not installed pyright (see the Makefile)"
)
pytestmark = pytest.mark.long

PROJECT = '''
from __future__ import annotations

from datetime import timedelta

from nightferry import (
    Catalog, Choose, ForEach, Image, Input, Item, JobFailed, JobSettings, NightferryError, Notify, Output, Parallel,
    Retry, Run, RunTask, Secret, Size, Steps, Wait, When, background_task, describe_error, get_logger, redact, storage,
)
from nightferry.testing import run_job
from pydantic import Field, SecretStr

log = get_logger(__name__)


class Settings(JobSettings):
    """Sum the orders of a file."""

    s3_uri: str = Field(description="Location of the file")
    token: SecretStr | None = Field(default=None, description="Token")


@background_task("report", Settings)
def report(settings: Settings, run: Run) -> None:
    """Sum the orders of a file."""
    with storage.open_read(settings.s3_uri) as file, run.progress("read", unit="lines") as progress:
        progress.advance(len(file.read()))
    log.info("read", extra={"lines": progress.count})
    raise JobFailed("The file is empty.")


catalog = Catalog("orders", image=Image("orders"))
files = catalog.bucket("files")
pager = catalog.topic("pager")
task = catalog.task(
    "report", main="orders.jobs:report", env={"FOLDER": files / "in"}, secrets={"TOKEN": Secret("token")},
    grants=[files.read("in/*")], size=Size(cpu=256, memory=512), retry=Retry(attempts=2), overlap="skip",
)
steps = Steps(
    RunTask(task), Wait(timedelta(minutes=1)),
    ForEach(Input("files"), RunTask(task, name="each", env={"S3_URI": Item()}), concurrency=1),
    Parallel(RunTask(task, name="left"), RunTask(task, name="right")),
)
nightly = catalog.workflow("nightly", steps, on_failure=Notify(pager))
'''
TYPES = {
    "catalog": "Catalog",
    "files / 'in'": "BucketPath",
    "files.read('in/*')": "Grant",
    "task": "Task",
    "nightly": "Workflow",
    "catalog.schedule('daily', nightly, 'rate(1 day)')": "Schedule",
    "catalog.object_trigger('arrival', task, bucket=files)": "ObjectTrigger",
    "catalog.setting('who')": "Setting",
    "steps": "Steps",
    "report": "BackgroundTask[Settings]",
    "log": "Logger",
    "Choose(When(Output(task, 'count') > 0, RunTask(task)))": "Choose",
    "describe_error(NightferryError('x'))": "str",
    "redact('x')": "str",
    "run_job(report).exit_code": "int",
}
MISTAKES = {
    "from nightferry import JobSetings": "JobSetings",
    "catalog.task('other', mian='orders.jobs:report')": "mian",
    "catalog.task('other', command=['x'], overlap='never')": "never",
    "def use(run: Run) -> None: run.progres('x')": "progres",
    "def read(settings: Settings) -> None: settings.s3_url": "s3_url",
    "RunTask(task, retries=2)": "retries",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "valid.py").write_text(PROJECT + "".join(f"reveal_type({name})\n" for name in TYPES), encoding="utf-8")
    (folder / "mistakes.py").write_text("\n".join([PROJECT, *MISTAKES]) + "\n", encoding="utf-8")
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(SOURCE)], "reportUnusedImport": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def check_types(found: list[str]) -> None:
    assert dict(zip(TYPES, found, strict=True)) == TYPES


def check_mistakes(messages: list[str]) -> None:
    assert len(messages) == len(MISTAKES), messages
    for message, word in zip(messages, MISTAKES.values(), strict=True):
        assert word in message


def test_mypy_infers_the_types_and_reports_mistakes(project: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-color-output", "valid.py"]
    valid = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "Success" in valid.stdout, valid.stdout
    revealed = re.findall(r'Revealed type is "(.*)"', valid.stdout)
    check_types([re.sub(r"\b[\w.]+\.(\w+)\b", r"\1", kind) for kind in revealed])
    mistakes = subprocess.run([*command[:-1], "mistakes.py"], cwd=project, capture_output=True, text=True, check=False)
    check_mistakes(re.findall(r"error: (.*)", mistakes.stdout))


@NEEDS_PYRIGHT
def test_pyright_infers_the_types_and_reports_mistakes(project: Path) -> None:
    command = ["node", str(PYRIGHT / "index.js"), "--pythonpath", sys.executable, "--outputjson"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(ended.stdout)["generalDiagnostics"]
    errors = [entry for entry in found if entry["severity"] == "error"]
    assert not [entry for entry in errors if entry["file"].endswith("valid.py")]
    revealed = [entry["message"] for entry in found if entry["severity"] == "information"]
    check_types([match[1] for text in revealed if (match := re.fullmatch(r'Type of ".*" is "(.*)"', text))])
    unique = {entry["range"]["start"]["line"]: entry["message"] for entry in reversed(errors)}
    check_mistakes([unique[line] for line in sorted(unique)])


@NEEDS_PYRIGHT
def test_an_editor_completes_every_name(project: Path) -> None:
    file = project / "new.py"
    with run_language_server(project) as server:
        assert set(nightferry.__all__) <= server.complete(file, "from nightferry import ")
        text = PROJECT + "catalog."
        assert {"task", "workflow", "schedule", "object_trigger", "bucket"} <= server.complete(file, text)
        text = PROJECT + "def use(run: Run, settings: Settings) -> None:\n    settings."
        assert {"s3_uri", "token"} <= server.complete(file, text)
        text = PROJECT + "catalog.task('other', "
        assert {"main=", "env=", "grants=", "retry="} <= server.complete(file, text)


class LanguageServer:
    """pyright's language server, as an editor uses it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._id = 0
        self._version = 0
        self.call(
            "initialize",
            {
                "processId": None,
                "rootUri": folder.as_uri(),
                "capabilities": {},
                "workspaceFolders": [{"uri": folder.as_uri(), "name": "orders"}],
            },
        )
        self._send({"method": "initialized", "params": {}})

    def complete(self, file: Path, text: str) -> set[str]:
        """Return the completions at the end of a text."""
        self._version += 1
        document = {"uri": file.as_uri(), "languageId": "python", "version": self._version, "text": text}
        if self._version > 1:
            self._send({"method": "textDocument/didClose", "params": {"textDocument": {"uri": file.as_uri()}}})
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        position = {"line": text.count("\n"), "character": len(text.rpartition("\n")[2])}
        found = self.call("textDocument/completion", {"textDocument": {"uri": file.as_uri()}, "position": position})
        return {item["label"] for item in found["items"]}

    def call(self, method: str, params: dict[str, Any]) -> Any:
        self._id += 1
        own = self._id
        self._send({"id": own, "method": method, "params": params})
        while True:
            message = self._receive()
            if "method" in message and "id" in message:  # a request of the server, such as for its configuration
                wanted = message.get("params") or {}
                settings = [{"pythonPath": sys.executable} for _ in wanted.get("items", ())]
                self._send({"id": message["id"], "result": settings or None})
            elif message.get("id") == own:
                assert "error" not in message, message
                return message["result"]

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        output = self._process.stdout
        assert output is not None
        length = 0
        while (header := output.readline().strip()) != b"":
            name, _, value = header.partition(b":")
            length = int(value) if name == b"Content-Length" else length
        message: dict[str, Any] = json.loads(output.read(length))
        return message


@contextmanager
def run_language_server(folder: Path) -> Iterator[LanguageServer]:
    command = ["node", str(PYRIGHT / "langserver.index.js"), "--stdio"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield LanguageServer(process, folder)
        finally:
            process.kill()
