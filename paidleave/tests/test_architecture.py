"""The order of the workload's packages, and no cycles.

The order allows no cycle between packages, so cycles are searched for between modules only.
grimp reads every import: also those under ``TYPE_CHECKING`` and inside functions.
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
    ["db"],
    ["dor.settings", "fineos.settings"],
    ["dor.files"],
    ["dor.encryption"],
    ["dor.importing", "dor.generate"],
    ["dor.kinds"],
    ["fineos.client", "fineos.simulator"],
    ["fineos.employers", "fineos.eligibility_feed", "fineos.employee_updates"],
    ["fineos.organization_units"],
    ["dor", "fineos"],
    ["operations", "exchange"],
    ["catalog"],
    ["demo"],
    [""],
]
LEVEL = {package: level for level, packages in enumerate(ORDER) for package in packages}


def package(module: str) -> str:
    """Return the longest entry of ORDER that the module belongs to."""
    parts = module.split(".")[1:]
    return next(name for n in range(len(parts), -1, -1) if (name := ".".join(parts[:n])) in LEVEL)


def imports(module: str) -> set[str]:
    return set(GRAPH.find_modules_directly_imported_by(module))


def test_imports_follow_the_order_of_the_packages() -> None:
    against = [
        f"{module} → {imported}"
        for module in MODULES
        for imported in imports(module) & set(MODULES)
        if package(imported) != package(module) and LEVEL[package(imported)] >= LEVEL[package(module)]
    ]
    assert not against, "\n".join(sorted(against))


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: imports(module) & set(MODULES) for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_no_folder_has_more_than_16_modules() -> None:
    root = Path(paidleave.__file__).parent
    crowded = {
        str(folder): len(modules)
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir()))
        if len(modules := [file for file in folder.glob("*.py") if file.name != "__init__.py"]) > 16
    }
    assert not crowded
