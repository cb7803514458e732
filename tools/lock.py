"""Reads the packages of a lock file that uv wrote: names, versions, markers, hashes and requiring packages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;]+)(?: *; *(?P<marker>[^\\]+?))? *\\?$")
_HASH = re.compile(r"^ +--hash=sha256:([0-9a-f]{64})")
_REQUIRED_BY = re.compile(r"^ +# +(?:via +)?(?!via$)(\S+)")


@dataclass(frozen=True)
class LockedPackage:
    """A package of a lock: its SHA-256 hashes, one per file on the index, and the packages that require it."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    required_by: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Return the package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(file: Path) -> list[LockedPackage]:
    """Return the packages of a lock file. Raises ValueError for a package without a version or a hash."""
    packages: list[LockedPackage] = []
    blocks = re.split(r"^(?=[^\s#])", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for block in blocks[1:]:
        lines = block.splitlines()
        found = _PACKAGE.match(lines[0])
        hashes = tuple(match[1] for match in map(_HASH.match, lines) if match)
        if not found or not hashes:
            raise ValueError(f"{file.name}: '{lines[0]}' has no exact version or no hash. Run make lock.")
        required_by = tuple(match[1] for match in map(_REQUIRED_BY.match, lines) if match)
        packages.append(LockedPackage(found["name"], found["version"], found["marker"] or "", hashes, required_by))
    return packages
