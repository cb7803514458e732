"""The floors of docs/architecture.md, held against the syntax trees: who imports whom, and no cycles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

# Module prefixes, longest match first, and the floor that each stands on. A module imports from its own room and
# from lower floors only.
FLOORS = {
    "nightferry": 0,  # the public names; errors, catalogue, schedules, environment, states …
    "nightferry.job": 1,
    "nightferry.storage": 1,
    "nightferry.credentials": 1,
    "nightferry.backend": 1,
    "nightferry.backend.interface": 1,
    "nightferry.backend.state_history": 1,
    "nightferry.local": 2,
    "nightferry.aws": 2,
    "nightferry.terraform": 2,
    "nightferry.lambdas": 2,
    "nightferry.cli": 3,
    "nightferry.web": 3,
    "nightferry.testing": 3,
    "paidleave.db": 4,
    "paidleave.dor": 5,
    "paidleave.fineos": 5,
    "paidleave.operations": 5,
    "paidleave.exchange": 5,
    "paidleave.catalog": 6,
    "paidleave.demo": 7,
    "paidleave": 4,
}
ROOMS_THAT_NEVER_MEET = {"nightferry.local", "nightferry.aws", "nightferry.terraform", "nightferry.lambdas"}
MAY_IMPORT_BOTO3 = ("nightferry.aws", "nightferry.lambdas", "nightferry.storage", "nightferry.credentials")


def module_name(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(SOURCE.rglob("*.py"))}


def imports(module: str, *, at_load: bool) -> set[str]:
    """The modules that ``module`` imports; with ``at_load`` only those imported when it is loaded."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if at_load and (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        ):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                found.add(submodule if submodule in MODULES else base)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found


def room(module: str) -> str:
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in FLOORS:
            return name
    raise AssertionError(f"{module} stands in no room: add it to FLOORS")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_own_room_and_lower_floors(module: str) -> None:
    own = room(module)
    for imported in imports(module, at_load=False):
        if imported.split(".")[0] not in ("nightferry", "paidleave"):
            continue
        other = room(imported)
        if other == own:
            continue
        assert not module.startswith("nightferry") or imported.startswith("nightferry"), f"{module} → {imported}"
        assert not {own, other} <= ROOMS_THAT_NEVER_MEET, f"{module} → {imported}"
        same_floor = FLOORS[other] == FLOORS[own] and FLOORS[own] in (1, 3, 5)
        assert FLOORS[other] < FLOORS[own] or same_floor, f"{module} (floor {FLOORS[own]}) → {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_boto3_is_imported_only_where_aws_is_spoken_to(module: str) -> None:
    if not module.startswith(MAY_IMPORT_BOTO3):
        outside = {name.split(".")[0] for name in imports(module, at_load=False)}
        assert not outside & {"boto3", "botocore"}


def test_there_is_no_import_cycle() -> None:
    graph = {module: imports(module, at_load=True) & MODULES.keys() for module in MODULES}
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path, module))
        if module not in done:
            for imported in sorted(graph[module] - {module}):
                walk(imported, (*path, module))
            done.add(module)

    for module in graph:
        walk(module, ())


def test_loading_the_catalogue_loads_no_job() -> None:
    """The command line starts at once because declarations import settings classes only."""
    heavy = {"polars", "pyarrow", "psycopg", "sqlalchemy", "alembic", "httpx", "lxml", "boto3", "numpy", "starlette"}
    seen: set[str] = set()
    waiting = [module for module in MODULES if module.startswith("paidleave.catalog")]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        parents = {".".join(module.split(".")[:n]) for n in range(1, module.count(".") + 1)}
        imported = imports(module, at_load=True)
        assert not {name.split(".")[0] for name in imported} & heavy, module
        waiting += [name for name in imported | parents if name in MODULES]
