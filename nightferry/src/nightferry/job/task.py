"""The life of a task process: settings → lease → body → end.

Everything that ends a process decides its exit code here (:class:`~nightferry.contract.ExitCode`).
"""

from __future__ import annotations

import faulthandler
import functools
import io
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from nightferry.contract import ExitCode, LogEvent
from nightferry.errors import NightferryError
from nightferry.job import command_line, leases, logs, new_relic
from nightferry.job.errors import BadSettings, Stopped
from nightferry.job.limits import STOP_GRACE, Limits
from nightferry.job.personal import names_a_secret, show_numbers
from nightferry.job.redaction import redactor
from nightferry.job.run import Run
from nightferry.job.runtime import Runtime
from nightferry.job.settings import JobSettings, secret_values

Settings = TypeVar("Settings", bound=JobSettings)
Body = Callable[[Settings, Run], None]

_SECRET_LENGTH = 6  # characters; shorter ones would hide ordinary words, and are no secrets

_log = logging.getLogger("nightferry.job")


def background_task(name: str, settings: type[Settings]) -> Callable[[Body[Settings]], BackgroundTask[Settings]]:
    """Make a function of settings and run a job: a console script's target that takes no arguments and exits."""

    def decorate(body: Body[Settings]) -> BackgroundTask[Settings]:
        return BackgroundTask(name, settings, body)

    return decorate


class BackgroundTask(Generic[Settings]):
    """A job. Calling it runs the job in this process and raises SystemExit with its exit code."""

    def __init__(self, name: str, settings: type[Settings], body: Body[Settings]) -> None:
        functools.update_wrapper(self, body)
        self.name = name
        self.settings = settings
        self.body = body

    def __call__(self, arguments: Sequence[str] | None = None) -> NoReturn:
        """Run the job with the command line's ``arguments`` (default: those of this process)."""
        given = sys.argv[1:] if arguments is None else list(arguments)
        if "--help" in given or "-h" in given:
            print(command_line.help_text(self.name, self.settings, self._description()))  # noqa: T201  # for people
            raise SystemExit(ExitCode.SUCCESS)
        raise SystemExit(int(_Process(self, given).run()))

    def _description(self) -> str:
        return (self.__doc__ or "").partition("\n\n")[0].replace("\n", " ").strip()


class _Process(Generic[Settings]):
    """One task process from its start to its exit code."""

    def __init__(self, task: BackgroundTask[Settings], arguments: Sequence[str]) -> None:
        self.task = task
        self.arguments = arguments
        self.runtime = Runtime.read(task.name)
        self.job_run = Run(self.runtime)
        self.limits = Limits(self.runtime.time_limit, self.job_run.stop_requested)
        self.started = time.monotonic()

    def run(self) -> int:
        stdout, stderr = sys.stdout, sys.stderr
        stdout.flush()
        if isinstance(stdout, io.TextIOWrapper):
            stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # no character loses a line
        faulthandler.enable(stderr)
        levels, problems = logs.parse_levels(os.environ.get("LOGGING_LEVEL", ""))
        secrets = (value for name, value in os.environ.items() if names_a_secret(name))
        redactor.learn(value for value in secrets if len(value) >= _SECRET_LENGTH)
        show_numbers(self.task.settings.shown_numbers)
        package = self.task.body.__module__.partition(".")[0]
        logs.configure(self.runtime, stdout, levels, {"nightferry", package})
        try:
            code = self._ended(lambda: self._life([*self.runtime.problems, *problems]))
            logs.end()
            self._tell_end(code)
        finally:
            with suppress(OSError):  # nobody reads it any more
                stdout.flush()
        self.limits.process_ends(code)
        return code

    def _life(self, problems: Sequence[str]) -> None:
        self.limits.start()
        if problems:
            raise BadSettings(self.task.name, problems)
        settings = command_line.load(self.task.name, self.task.settings, self.arguments)
        redactor.learn(secret_values(settings))
        _log.info(
            "started",
            extra={
                "event": "started",
                "command": self.task.name,
                "arguments": command_line.shown(self.task.settings, self.arguments),
                "python": sys.version.partition(" ")[0],
                "pid": os.getpid(),
                "cpus": os.cpu_count(),
                "time_limit_seconds": self.runtime.time_limit,
                "overlap": self.runtime.overlap,
            },
        )
        with new_relic.transaction(self.runtime), self._lease(settings):
            self.task.body(settings, self.job_run)

    @contextmanager
    def _lease(self, settings: Settings) -> Iterator[None]:
        """Hold the task's lease as its declaration says."""
        runtime = self.runtime
        if runtime.overlap == "allow":
            yield
            return
        place = leases.place_for(runtime.lease, settings)
        lease = leases.Lease(place, runtime.task, runtime.execution or runtime.run_id, runtime.run_id)

        def stop(reason: type[Stopped]) -> None:
            self.limits.stop(reason, STOP_GRACE)

        with leases.hold(lease, runtime.overlap, self.job_run.stop_requested.wait, stop):
            yield

    def _ended(self, life: Callable[[], None]) -> int:
        """Live, and tell how it ended."""
        try:
            life()
            self.limits.body_ends()
        except BadSettings as error:
            _log.error("%s", str(error), extra={"event": "bad_settings", "problems": list(error.problems)})
            return ExitCode.BAD_SETTINGS
        except NightferryError as error:
            _log.error("%s", str(error), extra={"event": "failed"})
            return ExitCode.FAILURE
        except leases.Overlapping as overlapping:
            code = ExitCode.SKIPPED_IN_WORKFLOW if self.runtime.execution else ExitCode.SUCCESS
            _log.warning("%s", str(overlapping), extra={"event": LogEvent.SKIPPED})
            return code
        except Stopped as stopped:
            _log.warning("stopped", extra={"event": "stopped", "reason": type(stopped).__name__})
            return stopped.exit_code
        except SystemExit as error:
            return _exit_code(error)
        except BaseException as error:
            _log.error("failed with an unexpected error", extra={"event": "failed"}, exc_info=error)
            return ExitCode.FAILURE
        return ExitCode.SUCCESS

    def _tell_end(self, code: int) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        _log.info(
            "ended with exit code %d",
            code,
            extra={
                "event": LogEvent.ENDED,
                "exit_code": int(code),
                "duration_seconds": round(time.monotonic() - self.started, 3),
                "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
                "children_cpu_seconds": round(children.ru_utime + children.ru_stime, 3),
                "peak_memory_bytes": _peak_memory(),
            },
        )


def _peak_memory() -> int:
    """The most memory that this process has had, in bytes."""
    # Where there is it, from /proc: getrusage also counts whoever started the process, up to its exec.
    with suppress(OSError, ValueError), Path("/proc/self/status").open(encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _exit_code(error: SystemExit) -> int:
    """The code of a body that exits by itself; a text is a message for people."""
    match error.code:
        case None:
            return ExitCode.SUCCESS
        case int():
            return error.code
    _log.error("%s", error.code, extra={"event": "failed"})
    return ExitCode.FAILURE
