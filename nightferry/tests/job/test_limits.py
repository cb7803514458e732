"""A job that must stop does stop: cleanly if it responds, and otherwise killed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

MakeJob = Callable[..., Any]

WORKS = 'log.info("works")\n'
FAST = "import nightferry.job.limits as limits\nlimits.STOP_GRACE_SECONDS = limits.LIMIT_GRACE_SECONDS = 0.5\n"
BLOCK_INTERPRETER = "import ctypes\nctypes.PyDLL(None).sleep(60)"
"""A call of a C function that does not release the global interpreter lock, so that no Python code can run."""


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    output = ""
    while text not in output:
        line = process.stdout.readline()
        assert line, f"the job ended without the text {text!r}: {output}"
        output += line
    return output


def stop_after_start(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        output = wait_for(process, '"works"')
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
    return process.returncode, output + rest


def test_sigterm_stops_cleanly_with_143(job: MakeJob) -> None:
    body = f"""
try:
    {WORKS.strip()}
    time.sleep(60)
finally:
    log.info("cleaned up", extra={{"stop_requested": run.stop_requested.is_set()}})
"""
    code, output = stop_after_start(job(body).start())
    assert code == 143
    assert '"stop_requested": true' in output
    assert '"exit_code": 143' in output


def test_a_stop_cancels_the_statement_so_that_the_cleanup_can_use_the_connection(
    job: MakeJob, empty_database: str
) -> None:
    body = """
import psycopg
with psycopg.connect(os.environ["CONNINFO"], autocommit=True) as connection:
    threading.Timer(0.3, log.info, ("works",)).start()
    try:
        connection.execute("SELECT pg_sleep(20)")
    finally:
        log.info("cleaned up", extra=dict(connection.execute("SELECT 'rows', 7").fetchall()))
"""
    code, output = stop_after_start(job(body).start(CONNINFO=empty_database))
    assert code == 143
    assert '"rows": 7' in output


def test_a_stop_in_a_callback_ends_the_event_loop_with_the_cleanup_of_its_tasks(job: MakeJob) -> None:
    body = """
import asyncio
def spin():
    time.sleep(0.01)
    asyncio.get_running_loop().call_soon(spin)
async def work():
    try:
        asyncio.get_running_loop().call_later(0.2, log.info, "works")
        spin()
        await asyncio.sleep(60)
    finally:
        log.info("cleaned up")
asyncio.run(work())
"""
    code, output = stop_after_start(job(body).start())
    assert code == 143
    assert '"cleaned up"' in output
    assert "never retrieved" not in output


def test_a_stop_in_a_task_ends_the_event_loop_with_the_cleanup_of_all_tasks(job: MakeJob) -> None:
    body = """
import asyncio
async def work():
    try:
        asyncio.get_running_loop().call_later(0.2, log.info, "works")
        while True:
            time.sleep(0.01)
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0.05)
        log.info("cleaned up")
async def work_twice():
    await asyncio.gather(work(), work())
with asyncio.Runner() as runner:
    try:
        runner.run(work_twice())
    finally:
        runner.run(asyncio.sleep(0.01))
"""
    code, output = stop_after_start(job(body).start())
    assert code == 143
    assert output.count('"cleaned up"') == 2
    assert "never retrieved" not in output
    assert "Traceback" not in output


def test_a_stop_interrupts_an_event_loop_that_does_not_return(job: MakeJob) -> None:
    body = f"""
import asyncio
import nightferry.job.limits as limits
limits._DELAY_SECONDS = 0.2
async def work():
    {WORKS.strip()}
    time.sleep(60)
asyncio.run(work())
"""
    code, output = stop_after_start(job(body).start())
    assert code == 143
    assert '"killed"' not in output


def test_a_stop_in_a_step_of_psycopg_leaves_a_usable_connection(job: MakeJob, empty_database: str) -> None:
    body = """
import psycopg, signal
class Cursor(psycopg.Cursor):
    def _execute_gen(self, *arguments, **options):
        steps = super()._execute_gen(*arguments, **options)
        step = next(steps)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        while True:
            step = steps.send((yield step))
with psycopg.connect(os.environ["CONNINFO"], autocommit=True) as connection:
    try:
        Cursor(connection).execute("SELECT pg_sleep(20)")
    finally:
        log.info("cleaned up", extra=dict(connection.execute("SELECT 'rows', 7").fetchall()))
"""
    ended = job(body).run(CONNINFO=empty_database)
    assert ended.code == 143
    assert '"rows": 7' in ended.stdout


def test_a_stop_at_the_entry_of_a_context_manager_exits_it_at_once(job: MakeJob) -> None:
    body = """
import signal
class Entered:
    def __enter__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
    def __exit__(self, *error):
        log.info("exited")
with Entered():
    time.sleep(60)
"""
    ended = job(body).run()
    assert ended.code == 143
    assert "exited" in ended.stdout


def test_a_stop_in_a_finalizer_is_not_lost(job: MakeJob) -> None:
    body = """
import signal
class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
Finalized()
time.sleep(60)
"""
    ended = job(body).run()
    assert ended.code == 143
    assert not ended.events("killed")
    assert "could not be raised" not in ended.stdout


def test_a_stop_is_handled_while_the_main_thread_holds_a_lock_of_its_event(job: MakeJob) -> None:
    body = f"""
{WORKS.strip()}
while True:
    run.stop_requested.wait(0)
"""
    for _ in range(3):
        code, output = stop_after_start(job(body).start())
        assert code == 143
        assert '"killed"' not in output


def test_a_stop_after_the_end_of_the_job_does_not_change_its_exit_code(job: MakeJob) -> None:
    body = """
class StopsAtExit:
    def __del__(self, kill=os.kill, parent=os.getppid(), sleep=time.sleep):
        kill(parent, 15)
        sleep(0.2)
sys.stops_at_exit = StopsAtExit()
"""
    ended = job(body).run()
    assert ended.code == 0
    assert not ended.events("killed")


def test_a_forked_process_of_the_job_ends_at_sigterm(job: MakeJob) -> None:
    body = """
import signal
child = os.fork()
if child == 0:
    time.sleep(60)
time.sleep(0.1)
os.kill(child, signal.SIGTERM)
log.info("ended", extra={"status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})
"""
    assert '"status": 143' in job(body).run().stdout


def test_other_threads_see_the_request_to_stop(job: MakeJob) -> None:
    body = f"""
seen = threading.Thread(target=lambda: run.stop_requested.wait(60) and log.info("seen"))
seen.start()
try:
    {WORKS.strip()}
    time.sleep(60)
finally:
    seen.join()
"""
    code, output = stop_after_start(job(body).start())
    assert (code, '"seen"' in output) == (143, True)


@pytest.mark.parametrize(
    "cleanup", ["time.sleep(60)", "threading.Event().wait()", "import ctypes\n    ctypes.CDLL(None).pause()"]
)
def test_a_process_is_killed_if_its_cleanup_takes_too_long(job: MakeJob, cleanup: str) -> None:
    body = f"{FAST}try:\n    {WORKS.strip()}\n    time.sleep(60)\nfinally:\n    {cleanup}"
    code, output = stop_after_start(job(body).start())
    assert code == 143
    assert '"killed"' in output


def test_a_process_ends_although_the_body_catches_the_stop(job: MakeJob) -> None:
    body = f"{FAST}{WORKS}while True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass"
    code, _ = stop_after_start(job(body).start())
    assert code == 143


def test_the_time_limit_exits_with_124_and_logs_the_stack(job: MakeJob) -> None:
    ended = job("try:\n    time.sleep(60)\nfinally:\n    log.info('cleaned up')").run(NIGHTFERRY_TIME_LIMIT="0.5")
    assert ended.code == 124
    (event,) = ended.events("time_limit")
    assert any("a_job.py" in frame for frame in event["where"])
    assert "cleaned up" in ended.stdout


def test_the_time_limit_ends_a_main_thread_that_hangs_in_c_code(job: MakeJob) -> None:
    body = f"{FAST}import ctypes\nwhile True: ctypes.CDLL(None).sleep(60)"
    ended = job(body).run(NIGHTFERRY_TIME_LIMIT="0.5")
    assert ended.code == 124


def test_the_time_limit_ends_c_code_that_holds_the_interpreter_lock(job: MakeJob) -> None:
    head = "import nightferry.job.limits as limits\nlimits.LIMIT_GRACE_SECONDS, limits.LAST_GRACE_SECONDS = 0.5, 0.5\n"
    program = job(BLOCK_INTERPRETER)
    program.program.write_text(head + program.program.read_text())
    assert program.run(NIGHTFERRY_TIME_LIMIT="0.5").code == 124


def test_a_job_within_its_limit_is_not_stopped(job: MakeJob) -> None:
    assert job("pass").run(NIGHTFERRY_TIME_LIMIT="60").code == 0
