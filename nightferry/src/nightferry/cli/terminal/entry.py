"""Run a console script. An error is printed as a message with an exit code, without a traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

from nightferry.cli.terminal.streams import PipeClosed, discard_output, echo, guard_streams
from nightferry.contract import ExitCode
from nightferry.errors import NightferryError
from nightferry.printable import make_one_line

# Errors of a path that its owner can repair. Any other OSError is a fault of Nightferry and keeps its traceback.
_REPAIRABLE = {
    errno.EACCES: "Check its owner and permissions",
    errno.EPERM: "Check its owner and permissions",
    errno.EROFS: "Use a folder that can be written",
    errno.ENOSPC: "Free space on its disk",
    errno.EDQUOT: "Free space, or increase the quota",
    errno.ENOTDIR: "Move the file away, or use another folder",
    errno.EEXIST: "Move the file away, or use another folder",
    errno.EISDIR: "Move the folder away, or use another file",
    errno.ENAMETOOLONG: "Use a shorter name",
}


def run_script(name: str, script: Callable[[], object]) -> None:
    """Call ``script``. Print the message of an error after ``name``, and exit with the error's code.

    A path that cannot be read or written, anywhere in a command, is such an error too.
    """
    guard_streams()
    try:
        script()
    except NightferryError as error:
        echo(f"{name}: {error}", err=True)
        sys.exit(error.exit_code)
    except PipeClosed:
        discard_output()
        sys.exit(ExitCode.BROKEN_PIPE)
    except OSError as error:
        if error.errno not in _REPAIRABLE:
            raise
        path = "" if error.filename is None else f"{make_one_line(str(error.filename))}: "
        echo(f"{name}: {path}{error.strerror}. {_REPAIRABLE[error.errno]}.", err=True)
        sys.exit(ExitCode.BAD_SETTINGS)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:
        if not _is_full_store(error):
            raise
        echo(f"{name}: The store of this machine cannot be written: its disk is full. Free space on it.", err=True)
        sys.exit(ExitCode.BAD_SETTINGS)


def _is_full_store(error: Exception) -> bool:
    """Return True for SQLite's error of a full disk."""
    sqlite = sys.modules.get("sqlite3")  # not imported by every command
    if sqlite is None or not isinstance(error, sqlite.OperationalError):
        return False
    return bool(error.sqlite_errorcode == sqlite.SQLITE_FULL)
