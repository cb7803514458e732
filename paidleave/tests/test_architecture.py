"""The workload's packages import each other in order, and the modules have no import cycle.

The order already excludes cycles between packages, so a separate test checks only cycles between modules. grimp reads
every import, including those under ``TYPE_CHECKING`` and inside functions.
"""

from __future__ import annotations

import graphlib
from pathlib import Path

import grimp

import paidleave

GRAPH = grimp.build_graph("paidleave", cache_dir=None)
MODULES = sorted(module for module in GRAPH.modules if module.split(".")[0] == "paidleave")

# A module imports from its own package and from packages above it. Packages on one line do not import each other.
ORDER = [
    ["job_settings", "file_limits"],
    ["text_stream"],
    ["csv_lines"],
    ["db"],
    ["dor.settings", "fineos.settings"],
    ["dor.files"],
    ["dor.encryption"],
    ["dor.importing", "dor.generate"],
    ["dor.kinds"],
    ["fineos.client", "fineos.simulator", "fineos.extract_names"],
    ["fineos.employers", "fineos.eligibility_feed", "fineos.employee_updates"],
    ["fineos.organization_units"],
    ["dor", "fineos"],
    ["operations", "exchange"],
    ["catalog"],
    ["demo"],
    [""],
]
LEVEL = {package: level for level, packages in enumerate(ORDER) for package in packages}


def find_package(module: str) -> str:
    """Return the longest entry of ORDER that contains the module."""
    parts = module.split(".")[1:]
    return next(name for n in range(len(parts), -1, -1) if (name := ".".join(parts[:n])) in LEVEL)


def find_imports(module: str) -> set[str]:
    return set(GRAPH.find_modules_directly_imported_by(module))


def test_imports_follow_the_order_of_the_packages() -> None:
    violations = [
        f"{module} → {imported}"
        for module in MODULES
        for imported in find_imports(module) & set(MODULES)
        if find_package(imported) != find_package(module)
        and LEVEL[find_package(imported)] >= LEVEL[find_package(module)]
    ]
    assert not violations, "\n".join(sorted(violations))


def test_modules_have_no_import_cycle() -> None:
    graph = {module: find_imports(module) & set(MODULES) for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError with the cycle


def test_no_folder_has_more_than_16_modules() -> None:
    root = Path(paidleave.__file__).parent
    oversized = {
        str(folder): len(modules)
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir()))
        if len(modules := [file for file in folder.glob("*.py") if file.name != "__init__.py"]) > 16
    }
    assert not oversized
