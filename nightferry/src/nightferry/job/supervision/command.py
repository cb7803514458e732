"""The supervisor of a task that is only a command: ``python -I -S command.py EVENTS_FD PROGRAM [ARGUMENT …]``.

It ends the processes that the command leaves running, and all of them with the engine. It disables core dumps, and does
not change the command's output. If the program cannot be started, it writes ``E`` and the number of the error to the
descriptor EVENTS_FD, whose reader is the engine.

It runs as a script without site packages, because the import of Nightferry would take longer than most commands.
"""

import os
import select
import signal
import sys

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120  # pathlib takes longer to import than this script runs

import processes  # type: ignore[import-not-found]

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_HANDLED = (*_FORWARDED, signal.SIGCHLD)


def main(events: int, command: list[str]) -> int:
    """Run the command and return its exit code, 128 + n for signal n."""
    os.set_inheritable(events, False)
    processes.disable_core_dumps()
    processes.become_subreaper()
    processes.outlive_parent()
    supervisor = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    child = os.fork()
    if child == 0:
        _execute(supervisor, events, command)
    processes.hide_from_user()
    os.closerange(0, 3)
    status = _wait(child, events)
    processes.kill_descendants()
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _wait(child: int, events: int) -> int:
    """Return the status of the command, or that of a killed one when the engine ends."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in _FORWARDED:
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
    poll = select.poll()
    poll.register(read, select.POLLIN)
    poll.register(events, 0)  # reports that the reader has closed it
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if events in ready:
            return int(signal.SIGKILL)
        os.read(read, 4096)
        pid = -1
        while pid:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                for number in _FORWARDED:
                    signal.signal(number, signal.SIG_IGN)  # the ID of the process may be used again
                return status


def _execute(supervisor: int, events: int, command: list[str]) -> None:
    processes.die_with_parent(supervisor)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  # the command of a task
    except OSError as error:
        os.write(events, b"E%d" % (error.errno or 0))
    os._exit(127)


if __name__ == "__main__":
    os._exit(main(int(sys.argv[1]), sys.argv[2:]))
