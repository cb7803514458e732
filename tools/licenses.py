"""Check the licenses of the packages that ship, which ``licenses.toml`` lists: ``python tools/licenses.py``.

The packages are those of ``requirements.lock`` on Linux. Each must be listed with a license that its installed metadata
declares and that the file allows.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.markers import Marker

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tools.lock import read_lock  # noqa: E402

# Metadata names licenses in many forms. The families in it are compared with those of the listed expression.
_FAMILIES = {
    "AGPL": r"agpl|affero",
    "Apache": r"apache",
    "BSD": r"\bbsd",
    "GPL": r"(?<![al])gpl|(?<!lesser )(?<!affero )general public license",
    "ISC": r"\bisc",
    "LGPL": r"lgpl|lesser general",
    "MIT": r"\bmit\b",
    "MPL": r"\bmpl|mozilla",
    "PSF": r"\bpsf|python software",
}


def main() -> int:
    """Print the problems and return the exit code."""
    listed = tomllib.loads((ROOT / "licenses.toml").read_text(encoding="utf-8"))
    shipped = [package.name for package in read_lock(ROOT / "requirements.lock") if _is_shipped(package.marker)]
    problems = find_problems(shipped, listed, read_declared_license)
    print("\n".join(problems) or f"{len(shipped)} packages have allowed licenses.")
    return bool(problems)


def find_problems(
    shipped: Iterable[str], listed: Mapping[str, Any], declared: Callable[[str], str | None]
) -> list[str]:
    """Return a message for each package whose license is not listed, not allowed, or not the declared one."""
    licenses: dict[str, str] = listed["packages"]
    problems = [f"{name} does not ship. Remove it from licenses.toml." for name in sorted(set(licenses) - set(shipped))]
    for name in shipped:
        found = declared(name)
        if name not in licenses:
            problems.append(f"{name} is not in licenses.toml. Its metadata declares: {found}. Review it and add it.")
        elif not is_allowed(licenses[name], listed["allowed"]):
            problems.append(f"{name} has the license {licenses[name]}, which licenses.toml does not allow.")
        elif found is None:
            problems.append(f"{name} is not installed. Run make test, which installs the locked packages.")
        elif _find_families(found) != _find_families(licenses[name]):
            problems.append(f"{name} is listed with {licenses[name]}, but its metadata declares: {found}. Review it.")
    return problems


def is_allowed(expression: str, allowed: Iterable[str]) -> bool:
    """Return True if an SPDX expression of AND and OR, without parentheses, can be met with allowed licenses."""
    return any(
        all(identifier.strip() in allowed for identifier in option.split(" AND "))
        for option in expression.split(" OR ")
    )


def read_declared_license(name: str) -> str | None:
    """Return the license in the metadata of an installed package: its expression, or its classifiers and text."""
    try:
        read = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if "License-Expression" in read:
        return read["License-Expression"]
    classifiers = [text for text in read.get_all("Classifier") or [] if text.startswith("License ::")]
    if classifiers:
        return ", ".join(text.rpartition(":: ")[2] for text in classifiers)
    return read["License"][:100] if "License" in read else "nothing"


def _find_families(text: str) -> set[str]:
    return {name for name, pattern in _FAMILIES.items() if re.search(pattern, text, re.IGNORECASE)}


def _is_shipped(marker: str) -> bool:
    return not marker or any(
        Marker(marker).evaluate({"sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine})
        for machine in ("x86_64", "aarch64")
    )


if __name__ == "__main__":
    sys.exit(main())
