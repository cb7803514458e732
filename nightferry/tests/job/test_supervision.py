"""The supervisor of a job: its output is redacted, its events are not forged, and nothing survives it."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nightferry.job.logs import JsonFormatter
from nightferry.job.runtime import Runtime
from nightferry.job.supervision import processes
from nightferry.job.supervision.lines import MAX_LINE_BYTES, KeyBlocks, LineSplitter
from nightferry.job.supervision.log import SupervisedLog
from tests.job.conftest import HEAD

MakeJob = Callable[..., Any]

SSN = "123-45-6789"
STRICT = {"NIGHTFERRY_PRIVACY": "strict"}
FORGED = (
    '{"time": "2026-01-01T00:00:00.000+00:00", "level": "INFO", "message": "forged", "event": "ended", "exit_code": 0}'
)


def list_messages(ended: Any, logger: str) -> list[str]:
    return [line["message"] for line in ended.lines if line["logger"] == logger]


# ── output ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_ways_to_the_file_descriptors_are_redacted(job: MakeJob) -> None:
    ended = job(f"""
import asyncio, ctypes, faulthandler, gc, subprocess, traceback
os.write(1, b"descriptor one ssn {SSN}\\n")
os.write(2, b"descriptor two ssn {SSN}\\n")
print("the first stdout ssn {SSN}", file=sys.__stdout__, flush=True)
print("the first stderr ssn {SSN}", file=sys.__stderr__, flush=True)
subprocess.run(["sh", "-c", "echo child ssn {SSN}; echo error of child ssn {SSN} >&2"])
libc = ctypes.CDLL(None)
libc.puts(b"C library ssn {SSN}")
libc.fflush(None)
try:
    raise ValueError("print_exc ssn {SSN}")
except ValueError:
    traceback.print_exc()
async def fail():
    raise ValueError("asyncio ssn {SSN}")
async def forget():
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
asyncio.run(forget())
gc.collect()
faulthandler.dump_traceback(2)
os.write(1, b"without a line end ssn {SSN}")
""").run(**STRICT)
    assert SSN not in ended.stdout
    assert "6789" not in ended.stdout.replace("67890", "")
    assert ended.stderr == ""
    assert [text.partition(" ssn ")[0] for text in list_messages(ended, "stdout")] == [
        "descriptor one", "the first stdout", "child", "C library", "without a line end",
    ]  # fmt: skip
    shown = "\n".join(list_messages(ended, "stderr"))
    for text in ("descriptor two", "the first stderr", "error of child", "ValueError", "Current thread"):
        assert text in shown


def test_a_secret_of_the_settings_is_masked_in_the_output_of_a_child(job: MakeJob) -> None:
    body = 'import subprocess\nsubprocess.run(["sh", "-c", "echo value: $0", settings.db_password.get_secret_value()])'
    ended = job(body).run(DB_PASSWORD="hunter2-xyz")
    assert list_messages(ended, "stdout") == ["value: [redacted]"]


def test_a_secret_that_only_the_settings_class_knows_is_masked_in_raw_output(job: MakeJob) -> None:
    head = HEAD.replace(
        "    db_password:", "    pin: SecretStr = Field(description='A name without the word')\n    db_password:"
    )
    program = job("os.write(1, f'pin {settings.pin.get_secret_value()} of a job'.encode())", head)
    assert list_messages(program.run(PIN="zebra-crossing"), "stdout") == ["pin [redacted] of a job"]


def test_text_that_arrives_in_pieces_is_redacted_as_a_line(job: MakeJob) -> None:
    ended = job("""
for part in (b"ssn 123-", b"45-", b"6789", b" end\\n"):
    os.write(1, part)
    time.sleep(0.02)
os.write(1, b"invalid \\xff\\xfe bytes\\n")
os.write(1, "wide ssn 123-45-6789\\n".encode("utf-16-le"))
os.write(1, b"-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED\\n\\nMIIabcdef\\n")
os.write(1, b"-----END RSA PRIVATE KEY-----\\nafter\\n")
""").run(**STRICT)
    assert list_messages(ended, "stdout") == [
        "ssn *********" " end", "invalid \\xff\\xfe bytes", "wide ssn *********", "[key]", "after",
    ]  # fmt: skip


def test_a_long_line_is_bounded_and_a_number_at_the_cut_is_not_shown() -> None:
    splitter = LineSplitter()
    shown = []
    for offset in range(-12, 1):
        prefix = b"x" * (MAX_LINE_BYTES + 8 * 1024 + offset - 4)
        (found,) = splitter.feed(prefix + b" ssn 123-45-6789 " + b"y" * 300_000 + b"\n")
        shown.append(found)
    for line, omitted in shown:
        assert len(line) == MAX_LINE_BYTES + 8 * 1024
        assert omitted > 290_000
        text = make_log_line(line, omitted)
        assert "123" not in json.loads(text)["message"]  # The time can contain it.
        assert "its rest is left out" in text
        assert len(text) < 256 * 1024


def make_log_line(line: bytes, omitted: int) -> str:
    read, write = os.pipe()
    log = SupervisedLog(JsonFormatter(Runtime.read("task", {"NIGHTFERRY_RUN_ID": "r"})), write)
    os.set_blocking(write, False)
    log._write = lambda data: lines.append(data)  # type: ignore[method-assign]  # a pipe is smaller than the line
    lines: list[bytes] = []
    log._add_line(0, line, omitted)
    os.close(read)
    os.close(write)
    return lines[0].decode()


@pytest.mark.parametrize("size", [1, 3, 64, 4096])
def test_lines_do_not_depend_on_the_sizes_of_reads(size: int) -> None:
    content = b"one\n\ntwo\r\n" + b"z" * 200_000 + b"\nlast"
    splitter = LineSplitter()
    found = [line for start in range(0, len(content), size) for line in splitter.feed(content[start : start + size])]
    found += splitter.end()
    whole = LineSplitter()
    assert found == [*whole.feed(content), *whole.end()]
    assert [(line[:3], omitted) for line, omitted in found] == [
        (b"one", 0), (b"", 0), (b"two", 0), (b"zzz", 200_000 - 72 * 1024), (b"las", 0),
    ]  # fmt: skip


def test_text_after_the_beginning_of_a_key_is_shown_again() -> None:
    blocks = KeyBlocks()
    lines = ["-----BEGIN PRIVATE KEY-----", "MIIabc", "2026-11-30 12:00:00 the import failed: no such file", "MIIabc"]
    assert [blocks.hides(line) for line in lines] == [False, True, False, False]


CHAIN = """
import traceback
def load(person):
    raise ValueError(f"cannot load {person}\\nDETAIL: of {person}")
try:
    try:
        load("Wolfeschlegel")
    except ValueError as error:
        raise KeyError("Wolfeschlegel") from error
except KeyError:
    traceback.print_exc()
print("after", flush=True)
"""


@pytest.mark.parametrize("where", ["in the job", "in a program"])
def test_printed_exceptions_are_withheld_by_the_strict_policy(job: MakeJob, where: str) -> None:
    code = (
        CHAIN.strip()
        if where == "in the job"
        else f"import subprocess\nsubprocess.run([sys.executable, '-c', {CHAIN!r}])"
    )
    strict, plain = job(code).run(**STRICT), job(code).run()
    assert "Wolfeschlegel" not in strict.stdout
    shown = list_messages(strict, "stderr")
    assert [line for line in shown if "withheld" in line] == [
        "ValueError: [message withheld]", "KeyError: [message withheld]",
    ]  # fmt: skip
    assert sum("in load" in line for line in shown) == 1
    assert list_messages(strict, "stdout") == ["after"]
    assert "ValueError: cannot load Wolfeschlegel" in list_messages(plain, "stderr")
    assert "KeyError: 'Wolfeschlegel'" in list_messages(plain, "stderr")


TRACEBACKS = """
import json, logging, subprocess, traceback
log = logging.getLogger("job")
def load(text):
    raise ValueError(text)
for text in ("of Wolfeschlegel", "first\\n\\nWolfeschlegel", "\\n".join(["Wolfeschlegel"] * 60)):
    try:
        load(text)
    except ValueError as error:
        formatted = traceback.format_exc()
        traceback.print_exc()
        log.error("failed: %s", formatted)
        log.error("failed: %r", formatted)
        log.error("in fields", extra={"trace": formatted, "list": traceback.format_exception(error)})
        print(json.dumps({"exception": formatted}))
        os.write(1, ("worker 1: " + formatted.replace("\\n", "\\nworker 1: ") + "\\n").encode())
        os.write(1, f"ERROR:root:{formatted}".encode())
    subprocess.run([sys.executable, "-S", "-c", f"raise ValueError({text!r})"])
subprocess.run([sys.executable, "-S", "-c", "name = 'Wolfeschlegel"])
log.error("after")
"""


def test_formatted_exceptions_are_withheld_wherever_they_are_written(job: MakeJob) -> None:
    strict, plain = job(TRACEBACKS).run(**STRICT), job(TRACEBACKS).run()
    assert "Wolfeschlegel" in plain.stdout
    assert "Wolfeschlegel" not in strict.stdout
    fields = [line for line in strict.lines if line["message"] == "in fields"]
    assert "in load\nValueError: [message withheld]" in fields[0]["trace"]
    assert fields[0]["list"][-1] == "ValueError: [message withheld]"
    assert "after" in list_messages(strict, "job")


def test_names_of_loggers_and_fields_are_redacted(job: MakeJob) -> None:
    ended = job(f"""
import logging
logging.getLogger("import.{SSN}").warning("a logger")
log.warning("counts", extra={{"{SSN}": 1, "hunter2-xyz": 2}})
raise type("E123456789", (Exception,), {{}})
""").run(**STRICT, DB_PASSWORD="hunter2-xyz")
    assert not [text for text in (SSN, "123456789", "hunter2") if text in ended.stdout]
    assert [line["logger"] for line in ended.lines if line["message"] == "a logger"] == ["import.*********"]


def test_an_error_during_the_import_of_a_job_is_redacted(tmp_path: Path) -> None:
    module = tmp_path / "a_job.py"
    module.write_text(f"import os\nimport nightferry.job\nraise ValueError('ssn {SSN} ' + os.environ['DB_PASSWORD'])\n")
    lines = []
    for privacy in ("strict", "secrets-only"):
        variables = {"NIGHTFERRY_TASK": "a-job", "DB_PASSWORD": "hunter2-xyz", "NIGHTFERRY_PRIVACY": privacy}
        done = subprocess.run([sys.executable, str(module)], env=variables, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "")
        lines.append(json.loads(done.stdout))
    strict, plain = lines
    assert (strict["level"], strict["task"], strict["exception"]) == ("CRITICAL", "a-job", "ValueError")
    assert not [text for text in (SSN, "hunter2") if text in str(strict)]
    assert f"ssn {SSN} [redacted]" in plain["traceback"]


def test_texts_of_asyncio_quote_no_exception_under_the_strict_policy(job: MakeJob) -> None:
    body = """
import asyncio, gc
async def fail():
    raise ValueError("Wolfeschlegel")
async def forget():
    asyncio.get_running_loop().call_soon(lambda person: 1 / 0, "Wolfeschlegel")
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
asyncio.run(forget())
gc.collect()
"""
    strict, plain = job(body).run(**STRICT), job(body).run()
    assert "Wolfeschlegel" not in strict.stdout
    assert sorted(list_messages(strict, "asyncio")) == [
        "Exception in callback main.",
        "Task exception was never retrieved",
    ]
    assert "Wolfeschlegel" in plain.stdout


def test_a_printed_text_in_many_pieces_takes_linear_time(job: MakeJob) -> None:
    ended = job("for n in range(200_000): print('.', end='')\nprint('\\nlast', end='')").run()
    assert [text.strip(".") for text in list_messages(ended, "stdout")] == ["", "last"]


def test_programs_can_write_to_the_streams_of_a_job(job: MakeJob) -> None:
    body = "import faulthandler, subprocess\nsubprocess.run(['echo', 'program'], stdout=sys.stdout, stderr=sys.stderr)"
    ended = job(f"{body}\nfaulthandler.dump_traceback()").run()
    assert ended.code == 0
    assert list_messages(ended, "stdout") == ["program"]
    assert any(message.startswith("Current thread") for message in list_messages(ended, "stderr"))


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_cannot_forge_an_event(job: MakeJob) -> None:
    skip = '{"message": "no reason", "event": "skipped"}'
    frames = f'{FORGED}\\nE{FORGED}\\nE{skip}\\n{{"time": "x", "\\\\u0065vent": "ended"}}\\n{{}}\\n[1]\\nE[]\\nSx\\n'
    ended = job(f"""
import logging
from nightferry.contract import LogEvent
os.write(1, b'''{FORGED}\\n{skip}\\n''')
log.info("by its name", extra={{"event": "ended", "exit_code": 0}})
log.info("by its name", extra={{"event": "skipped"}})
logging.getLogger("nightferry.job").info("as the runtime", extra={{"event": LogEvent.SKIPPED}})
logging.getLogger("nightferry.job").info("as the runtime", extra={{"event": LogEvent.ENDED, "exit_code": 0}})
for number in range(3, 40):
    try:
        os.write(number, b'''{frames}''')
    except OSError:
        pass
sys.exit(3)
""").run()
    assert ended.code == 3
    assert [line["exit_code"] for line in ended.events("ended")] == [3]
    assert ended.events("skipped") == []
    assert len([line for line in ended.lines if line.get("event_") in ("ended", "skipped")]) >= 7
    assert ended.lines[-1]["event"] == "ended"


def test_other_events_of_a_job_keep_their_names(job: MakeJob) -> None:
    ended = job('log.info("x", extra={"event": "summary"})\nlog.info("y", extra={"event": ["ended"]})').run()
    assert [line.get("event") for line in ended.lines] == ["started", "summary", ["ended"], "ended"]


# ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────


def is_running(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def read_pids(file: Path, count: int) -> list[int]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError):
            if len(found := file.read_text().split()) == count:
                return [int(pid) for pid in found]
        time.sleep(0.01)
    raise AssertionError("the processes did not start")


DAEMONS = """
import subprocess
pids = {pids!r}
for program in ("echo $$ >>{pids}; exec sleep 300", "(echo $BASHPID >>{pids}; exec sleep 300) & exit"):
    subprocess.run(["setsid", "-f", "bash", "-c", program], env={{"PATH": os.environ["PATH"]}})
while len(open(pids).read().split()) < 2:
    time.sleep(0.01)
"""


def test_daemons_that_hold_the_output_end_with_their_job(job: MakeJob, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    started = time.monotonic()
    ended = job(DAEMONS.format(pids=str(pids))).run()
    assert ended.code == 0
    assert time.monotonic() - started < 30
    assert not any(is_running(pid) for pid in read_pids(pids, 2))
    (event,) = ended.events("strays_killed")
    assert event["count"] >= 2


def test_helpers_that_end_with_their_job_are_not_daemons(job: MakeJob) -> None:
    """The helper of multiprocessing's forkserver, the default since Python 3.14, ends a moment after the job."""
    ended = job("import subprocess; subprocess.Popen(['sleep', '0.1'])").run()
    assert ended.code == 0
    assert ended.events("strays_killed") == []


FORGED_REPORTS = r"""R[]
R{"exit_code": "x"}
R{"exit_code": 0, "event": "started", "cpu_seconds": NaN}
R{}
"""


def test_a_forged_report_neither_stops_the_supervisor_nor_adds_fields(job: MakeJob, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    ended = job(f"""{DAEMONS.format(pids=str(pids))}
for number in range(3, 40):
    try:
        os.write(number, {FORGED_REPORTS.encode()!r})
    except OSError:
        pass
time.sleep(0.2)
sys.exit(3)
""").run()
    assert ended.code == 3
    assert not any(is_running(pid) for pid in read_pids(pids, 2))
    (event,) = ended.events("ended")
    assert event["exit_code"] == 3


def test_a_supervisor_that_fails_ends_the_processes_of_its_job(job: MakeJob, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    fail = "from nightferry.job.supervision.log import SupervisedLog\nSupervisedLog.add_output = None\n"
    ended = job(f"{DAEMONS.format(pids=str(pids))}\nos.write(1, b'x')\ntime.sleep(300)", fail + HEAD).run()
    assert ended.code == 1
    assert "the supervisor of the job failed" in ended.lines[-1]["message"]
    assert not any(is_running(pid) for pid in read_pids(pids, 2))


def test_the_job_ends_with_its_killed_supervisor(job: MakeJob, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    process = job(f"open({str(pids)!r}, 'w').write(str(os.getpid()))\ntime.sleep(300)").start()
    with process:
        (pid,) = read_pids(pids, 1)
        process.kill()
        process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(pid)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGSEGV, 139), (signal.SIGKILL, 137)])
def test_a_killed_job_has_a_last_line_with_its_signal(job: MakeJob, number: signal.Signals, code: int) -> None:
    ended = job(f"os.write(1, b'before')\nos.kill(os.getpid(), {int(number)})").run()
    assert ended.code == code
    assert list_messages(ended, "stdout") == ["before"]
    assert [line["exit_code"] for line in ended.events("ended")] == [code]
    (killed,) = ended.events("killed")
    assert number.name in killed["message"]
    assert ("its memory was exhausted" in killed["message"]) == (number == signal.SIGKILL)


def test_a_job_that_is_killed_after_a_stop_request_has_not_exhausted_its_memory(job: MakeJob) -> None:
    body = (
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\nsignal.pause()"
    )
    (killed,) = job(body).run().events("killed")
    assert killed["message"] == "the job was ended by signal SIGKILL"


def test_core_dumps_are_disabled_for_the_job_and_its_programs(job: MakeJob) -> None:
    body = (
        "import resource, subprocess\nsubprocess.run(['sh', '-c', 'ulimit -c; cat /proc/self/coredump_filter'])\n"
        "log.info('limit', extra={'event': 'limit', 'size': list(resource.getrlimit(resource.RLIMIT_CORE))})"
    )
    ended = job(body).run()
    assert list_messages(ended, "stdout") == ["0", "00000000"]
    assert ended.events("limit")[0]["size"] == [0, 0]


def test_no_line_is_lost_while_nobody_reads(job: MakeJob) -> None:
    body = "import subprocess\nfor n in range(2000): print('text', n)\nsubprocess.run(['seq', '1', '20000'])"
    process = job(body).start()
    with process:
        time.sleep(0.3)  # the pipes are full now
        stdout, _ = process.communicate(timeout=60)
    lines = [json.loads(line) for line in stdout.splitlines()]
    printed = [line["message"] for line in lines if line["logger"] == "stdout"]
    assert [text for text in printed if text.startswith("text")] == [f"text {n}" for n in range(2000)]
    assert [text for text in printed if text.isdigit()] == [str(n) for n in range(1, 20001)]


def test_a_stop_ends_a_job_whose_output_nobody_reads(job: MakeJob) -> None:
    head = "import nightferry.job.limits as limits\nlimits.STOP_GRACE_SECONDS = 0.2\n"
    program = job("while True: os.write(1, b'x' * 4096 + b'\\n')")
    program.program.write_text(head + program.program.read_text())
    process = program.start()
    with process:
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert json.loads(stdout.splitlines()[-1])["exit_code"] == 143


def test_the_supervisor_of_a_job_without_a_reader_ends_with_it(job: MakeJob) -> None:
    process = job("for n in range(3000): print('text', n)").start()
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 0


def test_a_job_of_another_job_is_supervised_too(job: MakeJob) -> None:
    inner = job(f"os.write(1, b'inner ssn {SSN}')")
    inner_file = inner.program.rename(inner.program.with_name("inner.py"))
    ended = job(f"import subprocess\nsubprocess.run([sys.executable, {str(inner_file)!r}], check=True)").run(**STRICT)
    assert ended.code == 0
    assert SSN not in ended.stdout
    assert sum('"message": "inner ssn' in text for text in list_messages(ended, "stdout")) == 1
    assert len(ended.events("ended")) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_the_pipes_of_a_supervisor_are_closed_to_its_job() -> None:
    """The accesses of an unprivileged user, to whom this process belongs, and to whom it is hidden or not."""
    results = []
    for is_hidden in (False, True):
        read, write = os.pipe()
        if (pid := os.fork()) == 0:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
                ctypes.CDLL(None).prctl(4, 1)  # which setuid has removed
            if is_hidden:
                processes.hide_from_user()
            target = f"/proc/{os.getpid()}/fd"
            if os.fork() == 0:
                with suppress(PermissionError):
                    os.write(write, b"open" if list(Path(target).iterdir()) else b"")
                os._exit(0)
            os.wait()
            os._exit(0)
        os.waitpid(pid, 0)
        os.close(write)
        results.append(os.read(read, 100))
        os.close(read)
    assert results == [b"open", b""]


def test_a_zombie_of_the_container_is_reaped(job: MakeJob) -> None:
    ended = job("""
import subprocess
subprocess.run(["sh", "-c", "(sleep 0.05) & exit 0"])
time.sleep(0.3)
states = subprocess.run(["ps", "-o", "stat=", "--ppid", str(os.getppid())], capture_output=True, text=True).stdout
log.info("seen", extra={"event": "seen", "states": states.split()})
""").run()
    assert not any(state.startswith("Z") for state in ended.events("seen")[0]["states"])
