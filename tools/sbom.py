"""Write the bill of materials of the packages that ship, as CycloneDX 1.6: ``python tools/sbom.py > sbom.cdx.json``.

It lists the packages of ``requirements.lock`` with the hashes of their files on the index and the licenses of
``licenses.toml``. The same lock gives the same bytes.
"""

from __future__ import annotations

import json
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tools.lock import LockedPackage, read_lock  # noqa: E402

_NAMESPACE = uuid.UUID("8a3c3c6e-52b1-4d0e-9a44-6d1a5a1f7c3b")


def make_bill(packages: list[LockedPackage], licenses: dict[str, str], version: str) -> dict[str, Any]:
    """Return the bill of materials of the toolkit at ``version`` with the locked packages."""
    root = f"pkg:pypi/nightferry@{version}"
    purls = {package.name: package.purl for package in packages}
    requirements: dict[str, list[str]] = {root: [], **{purl: [] for purl in purls.values()}}
    for package in packages:
        # Everything else is required by one of our projects.
        for requiring in {purls.get(name, root) for name in package.required_by}:
            requirements[requiring].append(package.purl)
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "nightferry",
                "version": version,
                "purl": root,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [_describe(package, licenses) for package in packages],
        "dependencies": [{"ref": ref, "dependsOn": sorted(required)} for ref, required in requirements.items()],
    }
    return bill | {"serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, json.dumps(bill))}"}


def _describe(package: LockedPackage, licenses: dict[str, str]) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.hashes],
        "purl": package.purl,
    }
    if package.name in licenses:
        component["licenses"] = [{"expression": licenses[package.name]}]
    if package.marker:
        component["properties"] = [{"name": "marker", "value": package.marker}]
    return component


def main() -> None:
    """Print the bill of materials."""
    project = tomllib.loads((ROOT / "nightferry" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    licenses = tomllib.loads((ROOT / "licenses.toml").read_text(encoding="utf-8"))["packages"]
    bill = make_bill(read_lock(ROOT / "requirements.lock"), licenses, project["version"])
    json.dump(bill, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
