"""The list of tasks from the cache equals that of an evaluation, and is never stale."""

from __future__ import annotations

import fcntl
import os
import pty
import py_compile
import resource
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest

from nightferry.cli.task_list import main
from nightferry.cli.terminal.catalog_cache import Entry, Recording, describe
from nightferry.clock import SystemClock, use_clock
from nightferry.testing import forked
from tests.accounts import give_away
from tests.cli.kept_project import (
    EVALUATED,
    KEPT,
    list_tasks,
    list_without_cache,
    make_command,
    make_environment,
    run,
    write_project,
)
from tests.cli.terminal import in_process, read_to_end


class Later(SystemClock):
    """A clock at which the files of a test are old."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_project(tmp_path / "shop")


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Entry("request")


def list_files(root: Path) -> list[Path]:
    return sorted((root.parent / "cache").rglob("*/*"))


# ── The same output ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_kept_list_equals_an_evaluated_one(root: Path, arguments: list[str]) -> None:
    expected = list_without_cache(root, *arguments).stdout
    first, second = list_tasks(root, *arguments), list_tasks(root, *arguments)

    assert [(run.stdout, run.stderr, run.returncode) for run in (first, second)] == [
        (expected, EVALUATED, 0),
        (expected, KEPT, 0),
    ]
    assert "first data ['one'] False None" in expected
    assert "\x1b" not in expected


def draw(root: Path, width: int, *, module: str = "nightferry.cli", **variables: str) -> tuple[bytes, str]:
    """Return what is drawn on a terminal, and the end of the standard error."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    environment = make_environment(root, **{"TERM": "xterm-256color"} | variables)
    command = make_command("tasks", module=module)
    with forked.Popen(
        command, cwd=root, env=environment, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(terminal)
        drawn = read_to_end(controller)
        errors = process.stderr.read()
    return drawn, errors


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"COLUMNS": "50"}, {"TERM": "dumb"}])
def test_a_kept_table_equals_an_evaluated_one(root: Path, variables: dict[str, str]) -> None:
    drawn = {}
    for width in (30, 60, 240):
        expected, _ = draw(root, width, module="nightferry.cli.app", **variables)
        assert draw(root, width, **variables) == (expected, EVALUATED)
        assert draw(root, width, **variables) == (expected, KEPT)
        drawn[width] = expected
    assert len(set(drawn.values())) == (1 if variables.keys() & {"COLUMNS", "TERM"} else 3)


def test_a_kept_list_imports_no_slow_module(root: Path) -> None:
    listing = "import atexit, sys, nightferry.cli\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    commands = [[sys.executable, "-c", f"{listing}nightferry.cli.main()", "tasks"], make_command("tasks")]
    evaluated, _, kept = (
        subprocess.run(command, cwd=root, env=make_environment(root), capture_output=True, text=True, check=True)
        for command in (*commands, commands[0])  # The first one keeps nothing, because the files are new.
    )
    slow = {"ast", "dataclasses", "datetime", "inspect", "pathlib", "pydantic", "rich", "typer"}
    slow |= {"nightferry.cli.app", "nightferry.contract", "nightferry.errors", "shop_catalog"}
    assert slow < set(evaluated.stderr.split())
    assert not slow & set(kept.stderr.split())
    assert kept.stdout == evaluated.stdout


def test_a_closed_pipe_ends_a_kept_list_like_an_evaluated_one(root: Path) -> None:
    list_tasks(root)
    ends = []
    for module in ("nightferry.cli.app", "nightferry.cli"):
        read, write = os.pipe()
        os.close(read)
        with forked.Popen(
            make_command("tasks", module=module),
            cwd=root,
            env=make_environment(root),
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            os.close(write)
            ends.append((process.stderr.read(), process.wait()))
    assert ends == [(EVALUATED, 141), (KEPT, 141)]


def test_ctrl_c_ends_a_kept_list_without_a_traceback(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_entry: Entry) -> str | None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Entry, "read", interrupt)
    assert in_process(main, root, make_environment(root), "tasks").returncode == 130


# ── Changes ───────────────────────────────────────────────────────────────────────────────────────────────────


def edit(root: Path, file: str, old: str, new: str) -> None:
    path = root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def replace_unnoticeably(root: Path) -> None:
    """Replace a file by another one with the same size and modification time."""
    file, other = root / "data.txt", root / "other"
    status = file.stat()
    other.write_text("atad")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


def write_unnoticeably(root: Path) -> None:
    """Change a file, and give it its modification time again."""
    file = root / "data.txt"
    status = file.stat()
    file.write_text("atad")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "catalog": (lambda root: edit(root, "src/shop_catalog.py", '"clean", ', '"remove", '), "remove\t"),
    "settings": (
        lambda root: edit(root, "src/shop_settings.py", "LoadSettings", "OtherSettings"),
        "no attribute 'LoadSettings'",
    ),
    "parsed job": (lambda root: edit(root, "src/shop_jobs.py", '"load"', '"other"'), "has the name 'other'"),
    "data file": (lambda root: edit(root, "data.txt", "data", "more"), " more "),
    "same size and time": (replace_unnoticeably, " atad "),
    "same size, time and inode": (write_unnoticeably, " atad "),
    "imported module": (lambda root: edit(root, "shop_words.py", "first", "second"), "second data"),
    "shadowing module": (lambda root: (root / "src/shop_words.py").write_text('WORD = "shadow"\n'), "shadow data"),
    "listed folder": (lambda root: (root / "parts/two").touch(), "['one', 'two']"),
    "created file": (lambda root: (root / "flag").touch(), " True "),
    "project file": (lambda root: edit(root, "pyproject.toml", "shop_catalog", "no_such_module"), "no_such_module"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_never_overlooked(root: Path, change: str) -> None:
    apply, shown = CHANGES[change]
    list_tasks(root)
    assert list_tasks(root).stderr == KEPT
    apply(root)
    expected = list_without_cache(root)
    for _ in range(2):
        changed = list_tasks(root)
        assert (changed.stdout, changed.returncode) == (expected.stdout, expected.returncode)
        assert shown in changed.stdout + changed.stderr


def test_a_folder_that_becomes_a_package_is_noticed(root: Path) -> None:
    (root / "src" / "shop_words").mkdir()
    list_tasks(root)
    assert list_tasks(root).stderr == KEPT
    (root / "src" / "shop_words" / "__init__.py").write_text('WORD = "package"\n')
    assert "package data" in list_tasks(root).stdout


def compile_module(file: Path, text: str) -> None:
    """Write a compiled module without its source."""
    source = file.with_suffix(".py")
    source.write_text(text)
    py_compile.compile(str(source), str(file))
    source.unlink()


def zip_module(file: Path, text: str) -> None:
    with ZipFile(file, "w") as archive:
        archive.writestr("other_words.py", text)


@pytest.mark.parametrize(("name", "write"), [("other_words.pyc", compile_module), ("words.zip", zip_module)])
def test_a_module_in_another_form_is_noticed(tmp_path: Path, name: str, write: Callable[[Path, str], None]) -> None:
    line = 'import sys; sys.path.append(str(Path(__file__).parents[1] / "words.zip")); import other_words as shop_words'
    root = write_project(tmp_path / "shop", line)
    for word in ("one", "three"):
        write(root / name, f"WORD = {word!r}\n")
        listed = [list_tasks(root) for _ in range(2)]
        assert [run.stderr for run in listed] == [EVALUATED, KEPT]
        assert all(f"{word} data" in run.stdout for run in listed)


def test_a_project_file_below_the_known_one_is_noticed(root: Path) -> None:
    folder = root / "docs" / "pages"
    folder.mkdir(parents=True)
    runs = [run(make_command("tasks"), folder, make_environment(root)) for _ in range(2)]
    assert [one.stderr for one in runs] == [EVALUATED, KEPT]
    write_project(root / "docs" / "other").joinpath("pyproject.toml").rename(root / "docs" / "pyproject.toml")
    found = run(make_command("tasks"), folder, make_environment(root))
    assert found.returncode == 2
    assert f"{root}/docs/pyproject.toml" in found.stderr


def test_each_environment_and_folder_has_its_own_list(root: Path) -> None:
    for color in ("red", "blue", "red"):
        assert f"False {color}" in list_tasks(root, COLOR=color).stdout
    assert list_tasks(root, COLOR="red", SHLVL="3").stderr == KEPT
    assert list_tasks(root, COLOR="red", OTHER="3").stderr == EVALUATED
    assert "red" not in "".join(file.name + file.read_text().partition("=")[0] for file in list_files(root))


def test_every_file_of_the_toolkit_and_of_python_counts(root: Path) -> None:
    list_tasks(root)
    (file,) = list_files(root)
    dependencies = {os.path.normpath(dependency[1:]) for dependency in file.read_text().split("\0")}
    modules = (
        "nightferry.cli.terminal.catalog_cache",
        "nightferry.presentation.durations",
        "typer",
        "rich",
        "pydantic",
    )
    expected = [str(sys.modules[module].__file__) for module in modules]
    folders = [folder for folder in sys.path if folder.endswith("site-packages")]
    assert {os.path.normpath(path) for path in (*expected, *folders, sys.executable)} <= dependencies


# ── What is not kept ──────────────────────────────────────────────────────────────────────────────────────────

NOT_KEPT = {
    "error": "raise ValueError('wrong')",
    "warning": "import warnings; warnings.warn('old')",
    "message": "import logging; logging.warning('old')",
    "process": "import subprocess; subprocess.run(['true'])",
    "shell": "os.system('true')",
    "fork": "os.fork() or os._exit(0)",
    "connection": "import socket; socket.socket().close()",
    "database": "import sqlite3; sqlite3.connect(':memory:').close()",
    "written file": "(Path(__file__).parent / 'trace').write_text('')",
    "current folder": "os.chdir('/')",
    "kernel": "open('/proc/self/status').read()",
    "device": "open('/dev/null').read()",
    "standard input": "open(0, closefd=False)",
    "descriptor of a folder": "os.listdir(os.open('/', os.O_RDONLY))",
    "file below a descriptor": "os.close(os.open('tmp', os.O_RDONLY, dir_fd=os.open('/', os.O_RDONLY)))",
    "lookup below a descriptor": "os.stat('tmp', dir_fd=os.open('/', os.O_RDONLY))",
}


@pytest.mark.parametrize("kind", NOT_KEPT)
def test_an_evaluation_with_other_results_is_not_kept(tmp_path: Path, kind: str) -> None:
    root = write_project(tmp_path / "shop", NOT_KEPT[kind])
    first, second = list_tasks(root), list_tasks(root)
    assert list_files(root) == []
    assert (second.stdout, second.stderr, second.returncode) == (first.stdout, first.stderr, first.returncode)
    assert second.returncode == (2 if kind == "error" else 0)


def test_new_files_are_not_kept_because_they_could_change_again_at_the_same_time(root: Path) -> None:
    assert run(make_command("tasks", hours=0), root, make_environment(root)).stderr == EVALUATED
    assert list_files(root) == []


@pytest.mark.parametrize("changes", [False, True])
def test_a_file_that_changes_after_it_was_read_is_not_kept(tmp_path: Path, entry: Entry, changes: bool) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    with use_clock(Later()), Recording(entry) as recording:
        text = file.read_text()
    if changes:
        file.write_text("b")
    recording.keep(text, "request")
    assert Path(entry.file).exists() != changes


def test_the_result_of_another_request_is_not_kept(entry: Entry) -> None:
    with use_clock(Later()), Recording(entry) as recording:
        recording.keep("text", "other")
    assert not Path(entry.file).exists()


def test_a_project_of_another_account_is_refused_despite_the_cache(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = make_environment(root)
    with use_clock(Later()):
        assert in_process(main, root, environment, "tasks").returncode == 0
        assert list_files(root)
        give_away(root / "src", monkeypatch)
        refused = in_process(main, root, environment, "tasks")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "belongs to the account" in refused.stderr


# ── Files of the cache ────────────────────────────────────────────────────────────────────────────────────────


def put_link(file: Path) -> None:
    file.rename(file.with_name("target"))
    file.symlink_to("target")


def put_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def put_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def rewrite(old: str, new: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(file.read_text().replace(old, new))


HOSTILE: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_text(""),
    "truncated": lambda file: os.truncate(file, file.stat().st_size - 1),
    "other text": rewrite("text", "lies"),
    "other dependency": rewrite("\0?/", "\0?/tmp"),
    "other number": rewrite("\0001\0", "\0000\0"),
    "no number": rewrite("\0001\0", "\0one\0"),
    "huge number": rewrite("\0001\0", f"\0{'9' * 10_000}\0"),
    "not UTF-8": lambda file: file.write_bytes(b"\xff"),
    "too large": lambda file: os.truncate(file, 1 << 40),
    "writable by a group": lambda file: file.chmod(0o620),
    "writable by all": lambda file: file.chmod(0o602),
    "link": put_link,
    "pipe": put_pipe,
    "folder": put_folder,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_damaged_or_hostile_file_is_not_used(entry: Entry, kind: str) -> None:
    entry.write({"?/": describe("?/")}, "text")
    assert entry.read() == "text"
    HOSTILE[kind](Path(entry.file))
    assert entry.read() is None


def test_a_file_of_another_account_is_not_used(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    entry.write({"?/": describe("?/")}, "text")
    give_away(Path(entry.file), monkeypatch)
    assert entry.read() is None


FOLDERS: dict[str, Callable[[Path], object]] = {
    "file": lambda folder: folder.write_text(""),
    "link": lambda folder: folder.symlink_to("/tmp"),
    "shared": lambda folder: (folder.mkdir(), folder.chmod(0o777)),
    "below a shared one": lambda folder: folder.parent.chmod(0o777),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_nothing_is_written_to_a_folder_that_others_control(entry: Entry, kind: str) -> None:
    folder = Path(entry.file).parent
    folder.parent.mkdir()
    FOLDERS[kind](folder)
    entry.write({}, "text")
    assert entry.read() is None


@pytest.mark.parametrize(
    "variables",
    [
        {"XDG_CACHE_HOME": os.devnull},
        {"HOME": "/proc", "XDG_CACHE_HOME": ""},
        {"HOME": "/proc", "XDG_CACHE_HOME": "relative"},
    ],
)
def test_a_list_is_printed_without_a_folder_for_it(root: Path, variables: dict[str, str]) -> None:
    listed = list_tasks(root, **variables)
    assert (listed.stdout, listed.stderr, listed.returncode) == (list_without_cache(root).stdout, EVALUATED, 0)
    assert {path.name for path in root.iterdir()} == {"data.txt", "parts", "pyproject.toml", "shop_words.py", "src"} | {
        "__pycache__"
    }


def test_a_full_disk_leaves_no_file(entry: Entry) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        entry.write({}, "text")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(Path(entry.file).parent.iterdir()) == []


def test_concurrent_writers_leave_complete_files(entry: Entry) -> None:
    texts = {letter * 100_000 for letter in "abcd"}
    found = set()

    def write(text: str) -> None:
        for _ in range(5):
            entry.write({"?/": describe("?/")}, text)
            found.add(entry.read())

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found <= texts
    assert [str(file) for file in Path(entry.file).parent.iterdir()] == [entry.file]


def test_the_oldest_files_are_removed(entry: Entry) -> None:
    folder = Path(entry.file).parent
    folder.mkdir(parents=True, mode=0o700)
    for age in range(100):
        (folder / f"{age}").touch()
        os.utime(folder / f"{age}", (-age, -age))
    entry.write({}, "text")
    assert {file.name for file in folder.iterdir()} == {Path(entry.file).name, *map(str, range(63))}
