"""Files and folders that only this account controls.

Another account can create a path before this one does, if its name is predictable, and can replace a file in a folder
that it can write. So the owner, the type and the mode of a path are checked without following a link, before the path
is used. A path that fails a check is refused, and never repaired: its content may be somebody else's.
"""

from __future__ import annotations

import errno
import os
import pwd
import secrets
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from nightferry.errors import NightferryError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MOST_BYTES = 1 << 20  # of a file that is read as a whole
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: opening a named pipe does not wait


class NotPrivate(NightferryError):
    """Another account owns or can change a file or folder that must be private. The message has the fix."""


def is_trusted_owner(status: os.stat_result) -> bool:
    """Return True if this account or root owns the file."""
    return status.st_uid in (os.geteuid(), 0)


def format_owner(status: os.stat_result) -> str:
    """Return the name of the account that owns the file, for messages."""
    try:
        return f"'{pwd.getpwuid(status.st_uid).pw_name}'"
    except KeyError:
        return f"with the ID {status.st_uid}"


def create_private_folder(folder: Path, mode: int = 0o700) -> None:
    """Create a folder that only this account can write, and missing folders above it, unless it exists.

    Raises NotPrivate if it cannot be used.
    """
    for parent in reversed(folder.parents):
        if not parent.exists():
            with suppress(FileExistsError):
                parent.mkdir(mode=mode)
    _check_ancestors(folder)
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        check_private_folder(folder)
    else:
        folder.chmod(mode)  # independent of the umask


def check_private_folder(folder: Path, *, follow: bool = False) -> None:
    """Raise NotPrivate unless the path is a folder of this account that no other account can write.

    ``follow`` accepts a symbolic link to such a folder, if this account or root created the link.
    """
    status = folder.lstat()
    if follow and stat.S_ISLNK(status.st_mode) and is_trusted_owner(status):
        status = folder.stat()
    kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a folder"
    if not stat.S_ISDIR(status.st_mode):
        raise NotPrivate(f"{folder} is {kind}, and is not used. Remove it if you do not need it.")
    if status.st_uid != os.geteuid():
        raise NotPrivate(
            f"{folder} belongs to the account {format_owner(status)}, which could replace its files, and is not used. "
            "Run the command as its owner, use another folder, or let an administrator remove the folder or change its "
            "owner (chown)."
        )
    if status.st_mode & _OTHERS_WRITE:
        raise NotPrivate(
            f"Other accounts can write to {folder}, and may have changed its files. Check its content, then run: "
            f"chmod go-w {shlex.quote(str(folder))}"
        )


def _check_ancestors(path: Path) -> None:
    """Raise NotPrivate if another account can rename or replace a folder above ``path``."""
    for folder in path.parents:
        status = folder.lstat()
        is_shared = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
        if not is_trusted_owner(status) or (is_shared and not stat.S_ISLNK(status.st_mode)):
            cause = "every account can write" if is_trusted_owner(status) else f"{format_owner(status)} controls"
            raise NotPrivate(
                f"{path} is not used, because {cause} {folder}. Use another folder, or change its owner or mode."
            )


def open_private(file: Path | str, mode: str) -> IO[Any]:
    """Open or create a file for writing. Only this account can read it. A symbolic link is refused."""
    encoding = None if "b" in mode else "utf-8"
    return open(file, mode, encoding=encoding, opener=_open_private)


def create_private_file(file: Path) -> None:
    """Create an empty file that only this account can read, unless it exists. A symbolic link is refused.

    An existing file is not opened. If it is a database of SQLite, closing it here would release the locks of all other
    connections in this process, and another process could then remove the log that they use.
    """
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        status = file.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(file)) from None
        if status.st_uid == os.geteuid() and status.st_mode & 0o077:  # written by an older version
            file.chmod(0o600)


def _open_private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    status = os.fstat(descriptor)
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:  # written by an older version
        os.fchmod(descriptor, 0o600)
    return descriptor


def read_private_text(file: Path, *, secret: bool = False, follow: bool = False) -> str:
    """Return the text of a file that this account or root owns and others cannot write, or with ``secret``, read.

    Raises NotPrivate, also for a link unless ``follow``; and FileNotFoundError, UnicodeDecodeError.
    """
    try:
        descriptor = os.open(file, _READ & ~os.O_NOFOLLOW if follow else _READ)
    except FileNotFoundError:
        raise
    except OSError as error:
        if file.is_symlink():
            raise NotPrivate(f"{file} is a symbolic link, which is not followed. Replace it with the file.") from None
        raise NotPrivate(f"{file} cannot be read: {error.strerror}. Check its type and permissions.") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise NotPrivate(f"{file} is not a file. Move it away.")
    with os.fdopen(descriptor, "rb") as opened:
        if not is_trusted_owner(status):
            raise NotPrivate(
                f"{file} belongs to the account {format_owner(status)}, and is not used. Write it again as this user."
            )
        if status.st_mode & (0o077 if secret else _OTHERS_WRITE):
            verb = "read" if secret else "change"
            raise NotPrivate(
                f"Other accounts can {verb} {file} (mode {stat.S_IMODE(status.st_mode):o}), and it is not used. "
                f"{'Replace the secret if they may have read it, and run' if secret else 'Check it, and run'}: "
                f"chmod 600 {shlex.quote(str(file))}"
            )
        if status.st_size > _MOST_BYTES:
            raise NotPrivate(f"{file} has more than {_MOST_BYTES} bytes, and is not used. Check its content.")
        return opened.read(_MOST_BYTES).decode()


def write_durably(file: Path, text: str, *, replace: bool = True) -> None:
    """Write a file with mode 600 that is never incomplete, and wait until it is on the disk.

    Raises FileExistsError if ``replace`` is False and the file exists.
    """
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with open_private(temporary, "x") as output:
            output.write(text)
            output.flush()
            os.fsync(output.fileno())
        if replace:
            temporary.replace(file)
        else:
            _rename_to_new(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(file.parent)


def _rename_to_new(source: Path, target: Path) -> None:
    """Give a file a name that must not exist. Raises FileExistsError."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if target.exists():
            raise FileExistsError(target) from None
        source.replace(target)


def sync_folder(folder: Path) -> None:
    """Wait until the folder's entries are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
