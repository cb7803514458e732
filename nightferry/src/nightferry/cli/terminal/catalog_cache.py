"""Texts that depend only on the catalog, kept until something that its evaluation depended on changes.

The evaluation of a catalog imports several hundred modules. As Python keeps compiled modules, this module keeps the
list of tasks and the names for completion, in files of this account below ``$XDG_CACHE_HOME/nightferry``. The name of a
file is a digest of the circumstances: the command, the current folder, Python and its path, the account, and all
environment variables. The file has every path that the evaluation opened, listed or looked up, and one digest of the
status of these paths and of the text. A text is therefore used only if an evaluation would read the same again.

Nothing is kept after an error, after a message on standard error, and if the evaluation did anything whose result these
paths do not describe, such as starting a process or opening a connection. The clock, random numbers and
``os.DirEntry.stat`` are not noticed: a catalog must not depend on them.

Reading imports only small modules of the standard library, because it has to be faster than the evaluation.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from nightferry.cli.terminal.streams import copy_streams

if TYPE_CHECKING:
    from types import TracebackType

NAMES = "names"
"""The request for the sorted names of each kind of declaration, a JSON object, which completion offers."""

_MOST_BYTES = 8 << 20  # of a file
_MOST_FILES = 64
_SETTLED = 2 * 10**9  # ns; the clocks of all file systems are at least as fine
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: opening a named pipe does not wait
_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_VOLATILE = frozenset(
    {
        *("_", "SHLVL", "PWD", "OLDPWD"),  # of the shell, which the current folder replaces
        *("SSH_AUTH_SOCK", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "TERM_SESSION_ID", "TMUX", "TMUX_PANE"),
        *("WINDOWID", "XDG_SESSION_ID"),  # of one session
        *("_NIGHTFERRY_COMPLETE", "_RUN_ECS_TASK_COMPLETE", "COMP_CWORD", "COMP_WORDS"),  # of one completion
        *("_TYPER_COMPLETE_ARGS", "_TYPER_COMPLETE_FISH_ACTION", "_TYPER_COMPLETE_WORD_TO_COMPLETE"),
    }
)
"""Environment variables that change without a change of the catalog."""

_stat = os.stat
_loaded_at = time.monotonic_ns()


class Entry:
    """The text of one request, such as the arguments of a command."""

    def __init__(self, *request: str) -> None:
        """Find the file of the request under the circumstances of this process, before the catalog changes them."""
        self.request = request
        variables = sorted((name, value) for name, value in os.environ.items() if name not in _VOLATILE)
        python = (sys.executable, sys.version, sys.path, sys.flags, sys.warnoptions)
        circumstances = (request, _find_current_folder(), python, os.geteuid(), os.uname(), variables)
        self.file = os.path.join(_find_folder(), sha256(repr(circumstances).encode()).hexdigest())

    def read(self) -> str | None:
        """Return the text, or None if there is none or an evaluation could have another result.

        Another account cannot have written it: the file belongs to this account, and nobody else can write to it.
        """
        try:
            with open(os.open(self.file, _READ), "rb") as file:
                status = os.fstat(file.fileno())
                if (
                    not stat.S_ISREG(status.st_mode)
                    or status.st_uid != os.geteuid()
                    or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
                    or status.st_size > _MOST_BYTES
                ):
                    return None
                content = file.read(_MOST_BYTES).decode()
            seal, number, rest = content.split("\0", 2)
            *dependencies, text = rest.split("\0", int(number))
        except (OSError, ValueError):
            return None
        return text if seal == _seal({one: describe(one) for one in dependencies}, text) else None

    def write(self, dependencies: Mapping[str, str], text: str) -> None:
        """Replace the file. Without the right or the space for it, nothing is kept.

        ``dependencies`` has the status of each path at the evaluation.
        """
        if not os.path.isabs(self.file):  # an account without a home folder
            return
        from contextlib import suppress
        from pathlib import Path

        from nightferry.environments.private_paths import create_private_folder, write_durably
        from nightferry.errors import NightferryError

        content = "\0".join((_seal(dependencies, text), str(len(dependencies)), *dependencies, text))
        file = Path(self.file)
        with suppress(OSError, ValueError, NightferryError):
            create_private_folder(file.parent)
            write_durably(file, content)
            by_age = sorted(file.parent.iterdir(), key=lambda one: one.lstat().st_mtime, reverse=True)
            for old in by_age[_MOST_FILES:]:
                old.unlink()


class Recording:
    """A context manager that notes each file that a command reads, and each path that it checks, to evaluate a catalog.

    The context begins before anything of the project is imported. Python reports every opened file and listed folder to
    an audit hook. It does not report lookups, such as those of ``Path.exists``, so that their functions are replaced in
    the context. Lookups of modules are not among them: the import system lists folders instead.
    """

    current: ClassVar[Recording | None] = None
    """The recording whose context this process is in."""

    def __init__(self, entry: Entry) -> None:
        """Record for this entry."""
        from importlib.util import source_from_cache

        from nightferry.clock import get_clock

        self._find_source = source_from_cache
        self._entry = entry
        start = int(get_clock().now().timestamp() * 10**9) - (time.monotonic_ns() - _loaded_at)
        self._settled_before = start - _SETTLED
        self._seen: dict[str, str] = {}
        self._compiled: set[str] = set()
        self._is_complete = True
        self._is_active = False
        self._originals: dict[str, Callable[..., Any]] = {}
        self._output: list[str] = []
        self._errors: list[str] = []

    def __enter__(self) -> Recording:
        self._output, self._errors = copy_streams()
        for name in ("stat", "lstat", "access", "readlink"):
            self._originals[name] = getattr(os, name)
            setattr(os, name, self._watch(self._originals[name]))
        self._is_active = True
        sys.addaudithook(self._observe)
        Recording.current = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        Recording.current = None
        self._is_active = False  # A hook cannot be removed.
        for name, original in self._originals.items():
            setattr(os, name, original)

    def keep_output(self) -> None:
        """Keep what was printed in the context. See :meth:`keep`."""
        self.keep("".join(self._output), *self._entry.request)

    def keep(self, text: str, *request: str) -> None:
        """Keep the result of a request, which has succeeded, unless another run could have another result.

        A recording for another request ignores it.
        """
        self._is_active = False
        if not self._is_complete or self._errors or request != self._entry.request:
            return
        self._note_modules()
        if self._is_complete and all(map(self._is_settled, self._seen)):
            self._entry.write(self._seen, text)

    def _observe(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note the path of an event of Python. Any other event with a result of its own ends the recording."""
        if not self._is_active or event in _HARMLESS:
            return
        try:
            match event, arguments:
                case "open", (path, mode, flags):
                    self._note_opened(path, mode, flags)
                case (("os.listdir" | "os.scandir"), (path,)):
                    self._note("=", "." if path is None else path)
                case "os.mkdir", (path, *_) if os.path.basename(os.fsdecode(path)) == "__pycache__":
                    pass
                case "os.rename", (_, path, *_) if _is_compiled(os.fsdecode(path)):
                    pass
                case "ctypes.dlopen", (None,):  # the program itself
                    pass
                case _:
                    self._is_complete = False
        except (OSError, TypeError, ValueError):
            self._is_complete = False

    def _note_opened(self, path: Any, mode: str | None, flags: int) -> None:
        if isinstance(path, int):
            self._is_complete &= path > 2  # the descriptor of a file that was opened by its path
        elif _is_compiled(name := os.fsdecode(path)):
            if not flags & _WRITE:
                self._compiled.add(os.path.join(os.getcwd(), name))
                self._note("=", self._find_source(name))
        elif flags & _WRITE or (mode is None and not os.path.isabs(name)):  # os.open, perhaps below a descriptor
            self._is_complete = False
        else:
            self._note("=", name)

    def _watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of ``os`` that notes its path."""

        def watched(path: Any, *rest: Any, **options: Any) -> Any:
            if not isinstance(path, int):
                self._is_complete &= options.get("dir_fd") is None
                self._note("?", path)
            return function(path, *rest, **options)

        return watched

    def _note(self, kind: str, path: Any) -> None:
        """Note a dependency with its status: ``=`` for a path that is read, ``?`` for one that is looked up."""
        try:
            dependency = kind + os.path.join(os.getcwd(), os.fsdecode(path))
            if dependency not in self._seen:
                self._seen[dependency] = describe(dependency)
        except (OSError, TypeError, ValueError):  # for example, a path with a null character
            self._is_complete = False

    def _note_modules(self) -> None:
        """Note all imported modules, also those from before the context, and the folders in which Python searches.

        A folder without ``__init__.py`` becomes a package that hides a module of its name when it gets one, so that
        such folders count as searched, too.
        """
        names = set()
        for name, module in list(sys.modules.items()):
            names.add(name.rpartition(".")[2])
            variables: dict[str, Any] = getattr(module, "__dict__", {})
            spec = variables.get("__spec__")
            if isinstance(file := variables.get("__file__"), str):
                self._note("=", file)
            if spec is not None and spec.has_location:
                self._note("=", spec.origin)
                if spec.cached and _is_compiled(spec.cached):
                    self._compiled.add(spec.cached)
        for dependency in list(self._seen):
            names.update(part.partition(".")[0] for part in dependency.split(os.sep)[1:])
        self._note("=", sys.executable)
        for folder in {*sys.path, *sys.path_importer_cache}:
            self._note("=", folder)
            for found in _list_folder(folder):
                if found.name.endswith(".pth") or (found.name in names and found.is_dir()):
                    self._note("=", found.path)
        for file in self._compiled:
            self._note("=", file)

    def _is_settled(self, dependency: str) -> bool:
        """Return True if a change during or after the evaluation would change the status of the path.

        It has the status that it had before it was read, and was not changed so recently that a further change could
        have the same time. A compiled module is exempt, because Python compares it with its source.
        """
        if self._seen[dependency] != describe(dependency):
            return False
        path = dependency[1:]
        try:
            status = _stat(path)
        except OSError:
            return True
        is_folder = stat.S_ISDIR(status.st_mode)
        if path in self._compiled or (is_folder and dependency[0] == "?"):
            return True
        if not (is_folder or stat.S_ISREG(status.st_mode)) or path.startswith(("/proc/", "/sys/", "/dev/")):
            return False  # the kernel's own files change without a new time
        return max(status.st_mtime_ns, status.st_ctime_ns) < self._settled_before


_HARMLESS = frozenset(
    {
        *("builtins.id", "code.__new__", "compile", "exec", "function.__new__", "import"),
        *("gc.get_objects", "gc.get_referents", "gc.get_referrers"),
        *("glob.glob", "glob.glob/2", "os.walk", "pathlib.Path.glob", "pathlib.Path.rglob", "pathlib.Path.walk"),
        *("marshal.dumps", "marshal.load", "marshal.loads", "pickle.find_class"),
        *("object.__delattr__", "object.__getattr__", "object.__setattr__"),
        *("os.putenv", "os.unsetenv", "sys._getframe", "sys._getframemodulename", "sys.addaudithook"),
        *("_thread.start_new_thread", "time.sleep"),
    }
)
"""Events of Python after which a recording is still complete."""


def _seal(dependencies: Mapping[str, str], text: str) -> str:
    """Return the digest of the dependencies, their status and the text."""
    return sha256("\0".join((*dependencies, *dependencies.values(), text)).encode()).hexdigest()


def describe(dependency: str) -> str:
    """Return what distinguishes the content of a path that was read, or the kind of one that was looked up.

    The change time cannot be set, in contrast to the modification time. A folder that was only looked up, such as one
    above the project, may get other files.
    """
    try:
        status = _stat(dependency[1:])
    except OSError as error:
        return str(error.errno)
    identity = f"{status.st_ino} {status.st_mode} {status.st_uid} {status.st_gid}"
    if dependency[0] == "?" and stat.S_ISDIR(status.st_mode):
        return identity
    return f"{identity} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _is_compiled(path: str) -> bool:
    """Return True for a compiled module beside its source, and for its temporary file."""
    folder, name = os.path.split(path)
    return ".pyc" in name and os.path.basename(folder) == "__pycache__"


def _list_folder(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or ".") as found:
            return list(found)
    except OSError:
        return []


def _find_current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


def _find_folder() -> str:
    """Return the folder of the files. The project may be read-only, and several accounts may use it."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # invalid by the specification
        base = os.path.expanduser("~/.cache")
    return os.path.join(base, "nightferry")
