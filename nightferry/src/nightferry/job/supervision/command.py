"""The supervisor of a task that is only a command.

It ends the processes that the command leaves running, and all of them when the engine ends, which holds the other end
of its standard input. It disables core dumps, and does not change the command's output. If the program cannot be
started, ``E`` and the number of the error are written to the descriptor of the events, which is then closed.

The engine starts it by :data:`PROGRAM`, which imports this module alone, because the imports of Nightferry take longer
than most commands. As a module, it is compiled once, and not at each start.
"""

import _ctypes  # without ctypes, whose import takes longer than the start of a command
import _signal  # type: ignore[import-not-found]  # without the slow import of enum
import os
import resource
import select
import sys

_FORWARDED = (
    _signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2,
)  # fmt: skip
_HANDLED = (*_FORWARDED, _signal.SIGCHLD)
_ENGINE = 0  # the descriptor that reports the end of the engine
_PR_SET_CHILD_SUBREAPER = 36

PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); import command; command.run(*sys.argv[2:])"
"""The program of the supervisor. Its arguments are the folder of this module, and those of :func:`run`."""


def run(events: str, processors: str, *command: str) -> None:
    """Run the command and exit with its code.

    Args:
        events: the descriptor of the events.
        processors: the numbers of the processors to which the command is restricted, with commas. Empty for all.
        command: the program and its arguments.
    """
    _become_subreaper()
    if processors:
        os.sched_setaffinity(0, map(int, processors.split(",")))
    os._exit(main(int(events), list(command)))


def main(events: int, command: list[str]) -> int:
    """Run the command and return its exit code, 128 + n for signal n."""
    _disable_core_dumps()
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _HANDLED)
    child = os.fork()
    if child == 0:
        _execute(events, command)
    os.close(events)
    os.closerange(1, 3)
    status = _wait(child)
    if _has_children():
        import processes  # type: ignore[import-not-found]

        processes.kill_descendants()
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _execute(events: int, command: list[str]) -> None:
    """Become the command."""
    os.set_inheritable(events, False)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _HANDLED)
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # which Python ignores
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  # the command of a task
    except OSError as error:
        os.write(events, b"E%d" % (error.errno or 0))
    os._exit(127)


def _wait(child: int) -> int:
    """Return the status of the command, or that of a killed one when the engine ends."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    _signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in _FORWARDED:
        _signal.signal(number, lambda number, _frame: _forward(child, number))
    _signal.signal(_signal.SIGCHLD, lambda _number, _frame: None)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _HANDLED)
    poll = select.poll()
    poll.register(read, select.POLLIN)
    poll.register(_ENGINE, 0)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if _ENGINE in ready:
            return int(_signal.SIGKILL)
        os.read(read, 4096)
        pid = -1
        while pid:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                for number in _FORWARDED:
                    _signal.signal(number, _signal.SIG_IGN)  # the ID of the process may be used again
                return status


def _forward(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:  # it has just been collected
        return


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _disable_core_dumps() -> None:
    """See :func:`nightferry.job.supervision.processes.disable_core_dumps`."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/coredump_filter", "w") as file:  # noqa: PTH123
            file.write("0")
    except OSError:  # a system without /proc
        return


def _become_subreaper() -> None:
    """See :func:`nightferry.job.supervision.processes.become_subreaper`."""
    if sys.platform == "linux":
        library = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None is the process itself, as in ctypes.CDLL
        _ctypes.call_function(_ctypes.dlsym(library, "prctl"), (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
