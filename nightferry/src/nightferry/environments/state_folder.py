"""The state directory of a project on this machine: databases, logs, secrets and the files of local buckets."""

from __future__ import annotations

from pathlib import Path

_IGNORE = "# Written by Nightferry: this folder holds local data and secrets, which must not be committed.\n*\n"
_ROOT_FILES = (".git", "pyproject.toml")


def create_state_folder(state: Path) -> Path:
    """Create the state directory, private to this user, unless it exists; return it. Git ignores all of its files.

    Everything that creates a file in the directory calls this function first. The root of a project or repository, to
    which ``NIGHTFERRY_STATE`` may point, gets no ``.gitignore`` that would hide the project itself.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    ignore = state / ".gitignore"
    if not ignore.exists() and not any((state / name).exists() for name in _ROOT_FILES):
        ignore.write_text(_IGNORE, encoding="utf-8")
    return state
