"""Read and write the synthesized files of an environment."""

from __future__ import annotations

from pathlib import Path

from nightferry.errors import NightferryError

Files = dict[str, str]
"""Texts by relative path."""


_PATTERNS = ("*.tf.json", "*.asl.json", "*-role-policy-*.json")


def read(directory: Path, environment: str) -> Files:
    """Return the files of an environment and of all modules in ``directory``, without their documentation.

    Raises:
        NightferryError: The environment has no folder there.
    """
    folder = directory / "ecs-tasks" / environment
    if not folder.is_dir():
        raise NightferryError(
            f"{folder} does not exist. Create it with: nightferry synth --env {environment} --out {directory}"
        )
    return {
        path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8")
        for parent in (folder, directory / "modules")
        for path in sorted(parent.rglob("*"))
        if path.suffix in (".json", ".py") and ".terraform" not in path.parts
    }


def write(result: Files, directory: Path) -> list[Path]:
    """Write the files to ``directory`` and remove Terraform files there that are no longer synthesized.

    Other files, such as a ``.terraform`` folder or a lock file, are not removed.

    Returns:
        The paths of the files that were changed or removed.
    """
    changed = []
    for name, text in result.items():
        path = directory / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    for folder in {(directory / name).parent for name in result}:
        for path in (path for pattern in _PATTERNS for path in folder.glob(pattern)):
            if str(path.relative_to(directory)) not in result:
                path.unlink()
                changed.append(path)
    return sorted(changed)
