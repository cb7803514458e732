"""``sftp-tool``: list, get, put and rename files on an SFTP server; files are streamed from and to the bucket."""

from __future__ import annotations

import logging
import posixpath
from datetime import UTC, datetime

from nightferry import Run, background_task, storage
from paidleave.operations.sftp.client import Client
from paidleave.operations.sftp.errors import AccessDenied, FileMissing, SftpFailed
from paidleave.operations.sftp.packets import Attributes
from paidleave.operations.sftp.session import open_session
from paidleave.operations.sftp.settings import SftpToolSettings
from paidleave.operations.sftp.transfers import get, put, rename

_ENTRY_LIMIT = 1_000
_log = logging.getLogger(__name__)


@background_task("sftp-tool", SftpToolSettings)
def main(settings: SftpToolSettings, run: Run) -> None:
    """List, get, put or rename files on an SFTP server."""
    with open_session(settings) as server:
        match settings.action:
            case "list":
                _list_folder(server, settings.remote_path or ".")
            case "get":
                target = resolve_storage_path(settings)
                with run.progress("getting", unit="bytes") as progress:
                    get(server, settings.remote_path, target, progress, replace=settings.replace)
            case "put":
                target = resolve_remote_path(settings)
                with run.progress("putting", unit="bytes") as progress:
                    put(
                        server,
                        settings.storage_path,
                        target,
                        progress,
                        replace=settings.replace,
                        temporary_file=settings.temporary_file,
                        read_back=settings.read_back,
                    )
            case "rename":
                rename(server, settings.remote_path, settings.new_path)


def resolve_storage_path(settings: SftpToolSettings) -> str:
    """Return the target of a get: STORAGE_PATH, with the file's name appended if it is a folder."""
    if not settings.storage_path.endswith("/"):
        return settings.storage_path
    return storage.join(settings.storage_path.rstrip("/"), posixpath.basename(settings.remote_path))


def resolve_remote_path(settings: SftpToolSettings) -> str:
    """Return the target of a put: REMOTE_PATH, with the object's name appended if it is a folder."""
    if not settings.remote_path.endswith("/"):
        return settings.remote_path
    return f"{settings.remote_path}{storage.name(settings.storage_path)}"


def _list_folder(server: Client, folder: str) -> None:
    entries = []
    count = undecoded = 0
    try:
        for name, attributes in server.list_folder(folder):
            count += 1
            undecoded += any("\udc80" <= character <= "\udcff" for character in name)
            if count <= _ENTRY_LIMIT:
                entries.append((name, attributes))
    except FileMissing:
        raise SftpFailed(f"Folder {folder} not found on the server.") from None
    except AccessDenied:
        raise SftpFailed(f"The server does not permit listing {folder}.") from None
    lines = [_format_entry(name, attributes) for name, attributes in sorted(entries, key=lambda entry: entry[0])]
    more = f"\n{count - _ENTRY_LIMIT} more entries are not shown." if count > _ENTRY_LIMIT else ""
    _log.info("folder %s has %d %s\n%s%s", folder, count, "entry" if count == 1 else "entries", "\n".join(lines), more)
    if undecoded:
        _log.warning(
            "%d names are not in SFTP_NAME_ENCODING; their bytes are shown as \\xNN. Set it, for example to latin-1.",
            undecoded,
        )


def _format_entry(name: str, attributes: Attributes) -> str:
    r"""Format an entry as one line. Attributes that the server does not report are shown as a question mark.

    Names may contain control characters, each shown as a dot, and bytes that are not text, shown as \xNN.
    """
    readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    shown = "".join(character if character.isprintable() else "·" for character in readable)
    size = "?" if attributes.size is None else f"{attributes.size:,}"
    changed = (
        "?" if attributes.modified is None else f"{datetime.fromtimestamp(attributes.modified, UTC):%Y-%m-%d %H:%M}"
    )
    return f"{size:>15} B  {changed:>16} {shown}{'/' if attributes.is_folder else ''}"
