"""The report of a catalog or environment that changed while the engine runs.

The engine uses the declarations with which it started: it does not replace a schedule or a task under work that is
open. After a change it says so, once for each change. Jobs run in processes of their own and use new code at once.

The files are only compared by their times. Whether the declarations really differ is found by a process that loads them
again, because a module cannot be loaded twice in one process without side effects.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from nightferry.catalog.catalog import Catalog
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.local.monitoring.failures import end_sentence

CHECK_SECONDS = 2.0
_LOAD_SECONDS = 60.0  # for loading the catalog in another process
_RESTART = "Restart the engine to use it: stop it with Ctrl-C and run nightferry up again."

_log = logging.getLogger("nightferry.engine")


class ChangeWatch:
    """The component of the engine that watches the files of the catalog and the environment."""

    def __init__(self, project: Project, environment: Environment) -> None:
        self._project = project
        self._environment = environment
        self._used = compute_fingerprint(project.catalog, environment)
        self._reported = self._used
        root = project.root
        modules = (Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None)))
        self._files = {*filter(project.contains, modules), root / "pyproject.toml", root / environment.file}
        self._seen = self._read_times()

    async def run(self) -> None:
        """Check periodically until canceled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            times = self._read_times()
            if times != self._seen:
                await self._check()
                self._seen = times  # after the check, which is repeated if the operating system refuses a process

    async def _check(self) -> None:
        """Load the declarations again, and report them if they differ from those in use."""
        command = (sys.executable, "-m", "nightferry.local.monitoring.changes", self._environment.name)
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self._project.root, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), _LOAD_SECONDS)
        except TimeoutError:
            output, errors = b"", b"loading it takes too long"
        finally:
            if process.returncode is None:
                process.kill()
        found = output.decode(errors="replace").strip()
        if process.returncode == 0 and found in (self._used, self._reported):
            self._reported = found
            return
        self._reported = found
        if process.returncode == 0:
            _log.warning(
                "The catalog or the environment has changed. This engine still uses the old one. %s", _RESTART,
                extra={"event": "catalog_changed"},
            )  # fmt: skip
        else:
            last = errors.decode(errors="replace").strip().splitlines()[-1:]
            reason = end_sentence(last[0] if last else None)
            _log.error(
                "The changed catalog cannot be loaded: %s This engine still uses the old one.", reason,
                extra={"event": "catalog_invalid"},
            )  # fmt: skip

    def _read_times(self) -> dict[Path, tuple[int, int]]:
        """Return time and size of the project's modules, its pyproject.toml and the environment's file."""
        result = {}
        for file in self._files:
            try:
                status = file.stat()
            except OSError:
                continue  # an editor may replace the file
            result[file] = (status.st_mtime_ns, status.st_size)
        return result


def compute_fingerprint(catalog: Catalog, environment: Environment) -> str:
    """Return a digest of all declarations and values, which does not depend on where they are declared."""
    members = {name: value for name, value in vars(catalog).items() if not name.startswith("_")}
    values = [environment.backend, environment.settings, environment.engine]
    return hashlib.sha256(_describe([members, *values]).encode()).hexdigest()


def _describe(value: Any) -> str:
    """Return a text of a value that is the same in each process."""
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value) if field.name != "declared_in"}
        return f"{type(value).__name__}{_describe(parts)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_describe(key)}: {_describe(item)}" for key, item in value.items()) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(_describe, value))) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_describe, value)) + "]"
    return repr(value)


def main() -> int:
    """Print the fingerprint of the project in the current folder with the environment that the argument names."""
    try:
        project = Project.find()
        environment = project.environment(sys.argv[1])
        sys.stdout.write(compute_fingerprint(project.catalog, environment))
    except NightferryError as error:
        sys.stderr.write(" ".join(str(error).split()))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
