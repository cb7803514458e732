"""Detection of processes that are writing a file."""

from __future__ import annotations

import fcntl
import signal


def is_open_for_writing(descriptor: int) -> bool:
    """Return True if a process is known to have the file open for writing.

    Linux grants a read lease only on a file that no process has open for writing (fcntl(2), "Leases"), and only to the
    file's owner or root. On other platforms, the function returns False.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # If another process opens the file for writing while this process has the lease (for microseconds), the kernel
        # sends a signal. The default is SIGIO, which would end this process. SIGURG is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:  # another user's file, or a file system without leases
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
