"""The stages of a task process: settings → lease → body → exit code.

This module maps each way in which a job can end to an :class:`~nightferry.contract.ExitCode`.
"""

from __future__ import annotations

import faulthandler
import functools
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Generic, NoReturn, TypeVar

from nightferry.contract import TASK_VARIABLE, ExitCode, LogEvent, Privacy
from nightferry.errors import NightferryError
from nightferry.field_names.personal import show_numbers
from nightferry.field_names.secret_names import is_secret_variable
from nightferry.job import command_line, leases, logs, new_relic
from nightferry.job.errors import BadSettings, Stopped
from nightferry.job.limits import STOP_GRACE_SECONDS, Limits
from nightferry.job.redaction import redactor
from nightferry.job.result import report_result
from nightferry.job.run import Run
from nightferry.job.runtime import Runtime
from nightferry.job.settings import JobSettings, list_secret_values
from nightferry.job.supervision.channel import Channel
from nightferry.job.supervision.log import SupervisedLog
from nightferry.job.supervision.supervisor import Supervisor

Settings = TypeVar("Settings", bound=JobSettings)
Body = Callable[[Settings, Run], object]

_log = logging.getLogger("nightferry.job")


def background_task(name: str, settings: type[Settings]) -> Callable[[Body[Settings]], BackgroundTask[Settings]]:
    """Return a decorator that turns a function of settings and a run into a job, for use as a console script."""

    def decorate(body: Body[Settings]) -> BackgroundTask[Settings]:
        return BackgroundTask(name, settings, body)

    return decorate


class BackgroundTask(Generic[Settings]):
    """A job. A call runs it in this process and raises SystemExit with its exit code."""

    def __init__(self, name: str, settings: type[Settings], body: Body[Settings]) -> None:
        functools.update_wrapper(self, body)
        self.name = name
        self.settings = settings
        self.body = body

    def __call__(self, arguments: Sequence[str] | None = None) -> NoReturn:
        """Run the job with the command-line ``arguments`` (default: those of this process)."""
        given = sys.argv[1:] if arguments is None else list(arguments)
        if "--help" in given or "-h" in given:
            print(command_line.format_help(self.name, self.settings, self._get_description()))  # noqa: T201  # help is for people, not for the log
            raise SystemExit(ExitCode.SUCCESS)
        raise SystemExit(int(JobProcess(self, given).run()))

    def _get_description(self) -> str:
        return (self.__doc__ or "").partition("\n\n")[0].replace("\n", " ").strip()


class JobProcess(Generic[Settings]):
    """A task process, from its start to its exit code."""

    def __init__(self, task: BackgroundTask[Settings], arguments: Sequence[str]) -> None:
        self.task = task
        self.arguments = arguments
        self.runtime = Runtime.read(task.name)
        self.job_run = Run(self.runtime)
        self.limits = Limits(self.runtime.time_limit, self.job_run.stop_requested)
        self.started = time.monotonic()
        self.channel: Channel | None = None

    def run(self) -> int:
        """Run the job in a child of this process. Return its exit code there; this process, its supervisor, ends here.

        See :mod:`nightferry.job.supervision`.
        """
        configure_redaction(self.runtime, self.task.settings)
        log = SupervisedLog(logs.JsonFormatter(self.runtime), output=1)
        self.channel = Supervisor(log, self.runtime.time_limit).start()
        faulthandler.enable(2)
        code = self.run_job(self.channel)
        self.limits.schedule_exit(code)
        return code

    def run_job(self, handler: logging.Handler) -> int:
        """Run the job in this process with ``handler`` for its log, and return its exit code.

        This changes the logging, streams and signal handlers of the process.
        """
        levels, problems = logs.parse_levels(os.environ.get("LOGGING_LEVEL", ""))
        configure_redaction(self.runtime, self.task.settings)
        package = self.task.body.__module__.partition(".")[0]
        packages = {"nightferry", package, *self.task.settings.logged_packages}
        logs.configure(self.runtime, handler, levels, packages)
        code = self._map_exit_code(lambda: self._run_body([*self.runtime.problems, *problems]))
        logs.end()
        self._report_end(code)
        return code

    def _run_body(self, problems: Sequence[str]) -> None:
        self.limits.start()
        if problems:
            raise BadSettings(self.task.name, problems)
        settings = command_line.load_settings(self.task.name, self.task.settings, self.arguments)
        secrets = list_secret_values(settings)
        redactor.add_secrets(secrets)
        if self.channel is not None:
            self.channel.send_secrets(secrets)
        _log.info(
            "started",
            extra={
                "event": LogEvent.STARTED,
                "command": self.task.name,
                "arguments": command_line.mask_arguments(self.task.settings, self.arguments),
                "python": sys.version.partition(" ")[0],
                "pid": os.getpid(),
                "cpus": os.cpu_count(),
                "time_limit_seconds": self.runtime.time_limit,
                "overlap": self.runtime.overlap,
            },
        )
        with new_relic.transaction(self.runtime), self._hold_lease(settings):
            if self.channel is not None:
                self.channel.send_begin()
            try:
                result = self.task.body(settings, self.job_run)
                report_result(result, self.runtime.results, self.runtime.run_id)
            finally:
                self.limits.disarm()  # A stop must not interrupt the release of the lease.

    @contextmanager
    def _hold_lease(self, settings: Settings) -> Iterator[None]:
        """Hold the task's lease according to its overlap policy."""
        runtime = self.runtime
        if runtime.overlap == "allow":
            yield
            return
        store = leases.open_lease_store(runtime.lease, settings)
        lease = leases.Lease(store, runtime.task, runtime.execution or runtime.run_id, runtime.run_id)

        def stop(reason: type[Stopped]) -> None:
            self.limits.stop(reason, STOP_GRACE_SECONDS)

        with leases.hold_lease(lease, runtime.overlap, self.job_run.stop_requested.wait, stop):
            yield

    def _map_exit_code(self, run_job: Callable[[], None]) -> int:
        """Run the job, log any failure, and return its exit code."""
        try:
            self._raise_stop_first(run_job)
        except BadSettings as error:
            _log.error("%s", str(error), extra={"event": "bad_settings", "problems": list(error.problems)})
            return ExitCode.BAD_SETTINGS
        except NightferryError as error:
            _log.error("%s", str(error), extra={"event": "failed"})
            return ExitCode.FAILURE
        except leases.StartSkipped as skipped:
            code = ExitCode.SKIPPED_IN_WORKFLOW if self.runtime.execution else ExitCode.SUCCESS
            _log.warning("%s", str(skipped), extra={"event": LogEvent.SKIPPED})
            return code
        except Stopped as stopped:
            _log.warning("stopped", extra={"event": "stopped", "reason": type(stopped).__name__})
            return stopped.exit_code
        except SystemExit as error:
            return _get_exit_code(error)
        except BaseException as error:
            _log.error("failed with an unexpected error", extra={"event": "failed"}, exc_info=error)
            return ExitCode.FAILURE
        return ExitCode.SUCCESS

    def _raise_stop_first(self, run_job: Callable[[], None]) -> None:
        """Run the job. If it fails after a stop was raised in it, log the error as a warning and raise the stop.

        A stop interrupts a driver at any point, so that the rollback of a connection, for example, can fail.
        """
        try:
            run_job()
        except Exception as error:
            if self.limits.raised is None:
                raise
            if isinstance(error, NightferryError):
                _log.warning("failed after the stop: %s", str(error))
            else:
                _log.warning("failed after the stop", exc_info=error)
            raise self.limits.raised from None

    def _report_end(self, code: int) -> None:
        """Report the exit code and the used resources to the supervisor, or log them without one."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = {
            "exit_code": int(code),
            "duration_seconds": round(time.monotonic() - self.started, 3),
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
            "children_cpu_seconds": round(children.ru_utime + children.ru_stime, 3),
            "peak_memory_bytes": _measure_peak_memory(),
        }
        if self.channel is not None:
            self.channel.send_report(report)
        else:
            _log.info("ended with exit code %d", code, extra={"event": LogEvent.ENDED, **report})


def _log_failed_import(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log an error of a task's process before its job runs, such as one in a module, as the job's log does."""
    runtime = Runtime.read("")
    configure_redaction(runtime, JobSettings)
    record = logging.makeLogRecord(
        {"name": "nightferry.job", "levelname": "CRITICAL", "msg": "failed before the job began"}
    )
    record.exc_info = (kind, error.with_traceback(trace), trace)
    os.write(1, f"{logs.JsonFormatter(runtime).format(record)}\n".encode(errors="backslashreplace"))


if os.environ.get(TASK_VARIABLE):
    sys.excepthook = _log_failed_import  # until the log is configured


def configure_redaction(runtime: Runtime, settings: type[JobSettings]) -> None:
    """Redact the output of this process by the stricter policy of the catalog and the settings class."""
    is_strict = Privacy.STRICT in (runtime.privacy, settings.privacy)
    redactor.privacy = Privacy.STRICT if is_strict else Privacy.SECRETS_ONLY
    redactor.add_secrets(
        value for name, value in os.environ.items() if name in runtime.secrets or is_secret_variable(name, value)
    )
    show_numbers(settings.shown_numbers)
    redactor.show_names(settings.shown_names)


def _measure_peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    # /proc is preferred because the value of getrusage includes the parent process up to the call of exec.
    with suppress(OSError, ValueError), Path("/proc/self/status").open(encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _get_exit_code(error: SystemExit) -> int:
    """Return the code of a body that raised SystemExit; a text as its code is logged as an error."""
    match error.code:
        case None:
            return ExitCode.SUCCESS
        case int():
            return error.code
    _log.error("%s", error.code, extra={"event": "failed"})
    return ExitCode.FAILURE
