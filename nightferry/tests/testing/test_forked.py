"""Test forked programs against the same programs started by ``subprocess``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from nightferry.testing import forked, zygote

pytestmark = pytest.mark.sampled(8)

ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_CTYPE": "C.UTF-8", "ORDER": "Zoë’s"}
PROGRAMS = {
    "arguments and environment": "import os, sys; print(sys.argv, sorted(os.environ.items()), os.getcwd())",
    "unbuffered": "import os, sys; print('lost'); os._exit(0)",
    "standard input": "import sys; print(sys.stdin.read().upper()); sys.stderr.write('é')",
    "exit code": "raise SystemExit(7)",
    "exit message": "import sys; sys.exit('no orders')",
    "warning as an error": "import warnings; warnings.warn('deprecated')",
    "interrupted": "raise KeyboardInterrupt",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "exit handlers": "import atexit, threading\n"
    "atexit.register(print, 'at exit')\n"
    "threading.Timer(0.05, print, ['from a thread']).start()\n",
    "main module": "class A: pass\nimport sys; print(A.__module__, sys.modules['__main__'].A is A, __name__)",
    "open files": "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:3])",
    "signals": "import signal; print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))",
    "broken pipe": "import signal; print(signal.getsignal(signal.SIGPIPE))",
    "parent": "import os; print(os.getppid(), os.getsid(0), os.getpgrp())",
}

# pip writes one of them, depending on the path.
STARTS = [
    "#!{}\n",
    "#!/bin/sh\n'''exec' {} \"$0\" \"$@\"\n' '''\n",
    "#!/bin/sh\n'''exec' \"{}\" \"$0\" \"$@\"\n' '''\n",
]


def start_both(command: list[str], **options: Any) -> list[tuple[int, str, str]]:
    """Return exit code, output and last line of the errors of the forked program and of the real one."""
    found = []
    for run in (forked.run, subprocess.run):
        ended = run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, **options)
        found.append((ended.returncode, ended.stdout, ended.stderr.strip().rpartition("\n")[2]))
    return found


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_forked_program_behaves_like_a_real_one(program: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", program, "first", "--second=é"]
    fork, real = start_both(command, cwd=tmp_path, input="orders")
    assert fork == real


@pytest.mark.parametrize("name", ["PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED"])
def test_variables_of_python_have_their_effect(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, name, "1")
    seed = "hash('orders') % 7 if 'PYTHONHASHSEED' in os.environ else 0"
    program = f"import os, sys; sys.stdout.write(f'{{sys.dont_write_bytecode}} {{{seed}}}'); os._exit(0)"
    fork, real = start_both([sys.executable, "-c", program])
    assert fork == real


def test_modules_and_scripts_run(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("NAME = 'beside'")
    script = tmp_path / "a script.py"
    script.write_text("import beside, sys; print(beside.NAME, sys.argv, __file__, __name__)")
    for command in ([sys.executable, str(script), "x"], [sys.executable, "-m", "beside"]):
        fork, real = start_both(command, cwd=tmp_path)
        assert fork == real
        assert fork[0] == 0, fork


def test_console_scripts_run() -> None:
    fork, real = start_both([str(Path(sys.executable).with_name("nightferry")), "--version"])
    assert fork == real
    assert fork[0] == 0


@pytest.mark.parametrize("start", STARTS)
def test_console_scripts_are_found_by_any_path_to_their_python(
    start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a venv" / "bin"
    folder.mkdir(parents=True)
    script = folder / "orders"
    script.write_text(f"{start.format(folder / 'python')}import json\n")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a venv" / "src" / ".." / "bin" / "python"))
    (tmp_path / "a venv" / "src").mkdir()
    program = forked._find_program([str(script)])
    assert program is not None
    assert program["imports"] == ["json"]
    script.with_name("other").write_text(start.format("/bin/python"))
    assert forked._find_program([str(script.with_name("other"))]) is None


def test_other_commands_start_as_subprocess_starts_them(tmp_path: Path) -> None:
    for command in (["sh", "-c", "echo $ORDER; exit 4"], [sys.executable, "-S", "-c", "print(1)"], ["/no/such"]):
        if command == ["/no/such"]:
            with pytest.raises(FileNotFoundError):
                forked.run(command)
        else:
            fork, real = start_both(command, cwd=tmp_path)
            assert fork == real


def test_it_is_a_child_of_this_process_and_ends_by_a_signal() -> None:
    program = "import time; print('started', flush=True); time.sleep(60)"
    with forked.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        assert psutil.Process(process.pid).ppid() == os.getpid()
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_orphans_of_other_programs_are_not_adopted() -> None:
    forked.run([sys.executable, "-c", ""])
    program = "import os, time; pid = os.fork(); pid and print(pid, flush=True); pid or time.sleep(60)"
    process = forked.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    orphan = psutil.Process(int(process.stdout.readline()))
    assert process.wait() == 0
    process.stdout.close()
    try:
        assert orphan.ppid() != os.getpid()
    finally:
        orphan.kill()


def test_the_modules_that_a_program_imports_are_already_loaded() -> None:
    program = "import sys; print('nightferry.job' in sys.modules); import nightferry.job"
    fork, real = start_both([sys.executable, "-c", program])
    assert (fork[1], real[1]) == ("True\n", "False\n")


@pytest.mark.parametrize("part", [b"", b"\0\0\0\7", b"\0\0\0\7{"])
def test_the_interpreter_ends_with_its_owner_even_within_a_request(part: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-P", "-m", zygote.__name__, str(theirs.fileno())]
        interpreter = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    with ours:
        ours.sendall(part)
    assert interpreter.wait(60) == 0
