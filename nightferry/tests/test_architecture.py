"""Test the import rules of docs/architecture.md: the order of packages, without cycles.

The order rules out cycles between packages, so only cycles between modules are checked.
grimp finds all imports, including those under ``TYPE_CHECKING`` and inside functions.
"""

from __future__ import annotations

import ast
import graphlib
import re
from pathlib import Path

import grimp
import pytest

import nightferry

GRAPH = grimp.build_graph("nightferry", include_external_packages=True, cache_dir=None)
MODULES = sorted(module for module in GRAPH.modules if module.split(".")[0] == "nightferry")

# A module imports from its own package and from packages above it. Packages on one line do not import each other.
ORDER = [
    ["clock", "contract", "arguments", "printable", "field_names"],
    ["overrides"],
    ["container"],
    ["errors"],
    ["schedules"],
    ["states.data"],
    ["states.language"],
    ["states.machine", "states.builder"],
    ["states"],
    ["catalog"],
    ["environments"],
    ["aws_responses"],
    ["credentials"],
    ["storage"],
    ["job"],
    ["backend"],
    ["costs"],
    ["audit"],
    ["presentation", "http_server"],
    ["local.store"],
    ["local.processes"],
    ["local.services"],
    ["local.runs"],
    ["local.integrations"],
    ["local.engine"],
    ["local.triggers"],
    ["local.monitoring"],
    ["aws.session", "aws.lru_cache", "aws.periods"],
    ["aws.runs"],
    ["aws.executions"],
    ["aws.verify"],
    ["local", "aws", "terraform", "lambdas"],
    ["notices"],
    ["dashboard"],
    ["cli.terminal"],
    ["cli.create", "cli.run", "cli.inspect", "cli.develop", "cli.deploy"],
    ["cli"],
    ["testing"],
    [""],
]
LEVEL = {package: level for level, packages in enumerate(ORDER) for package in packages}
INDEPENDENT = {"local", "aws", "terraform", "lambdas"}
MAY_IMPORT_BOTO3 = {"aws", "aws_responses", "lambdas", "storage", "credentials"}


def package(module: str) -> str:
    """Return the longest entry of ORDER that the module belongs to."""
    parts = module.split(".")[1:]
    return next(name for n in range(len(parts), -1, -1) if (name := ".".join(parts[:n])) in LEVEL)


def imports(module: str) -> set[str]:
    return set(GRAPH.find_modules_directly_imported_by(module))


def test_imports_follow_the_order_of_the_packages() -> None:
    violations = []
    for module in MODULES:
        own = package(module)
        for imported in imports(module) & set(MODULES):
            other = package(imported)
            separate = {own.split(".")[0], other.split(".")[0]} <= INDEPENDENT and own.split(".")[0] != other.split(
                "."
            )[0]
            if other != own and (separate or LEVEL[other] >= LEVEL[own]):
                violations.append(f"{module} → {imported}")
    assert not violations, "\n".join(sorted(violations))


def test_imports_between_modules_have_no_cycle() -> None:
    graph = {module: imports(module) & set(MODULES) for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


@pytest.mark.parametrize("library", ["boto3", "botocore"])
def test_boto3_is_imported_only_for_aws(library: str) -> None:
    importing = GRAPH.find_modules_that_directly_import(library) if library in GRAPH.modules else set()
    assert {module.split(".")[1] for module in importing} <= MAY_IMPORT_BOTO3


# Processes whose output another program reads, or that write before anything else of a job exists.
WRITERS = {
    *(
        "cli.terminal.output",
        "cli.terminal.streams",
        "job.__main__",
        "job.task",
        "terraform.provider.core",
        "states.data.jsonata_worker",
    ),
    *("local.monitoring.changes", "local.integrations.call", "local.monitoring.engine_log"),
}
WRITE = re.compile(
    r"(?:typer|click)\.(?:echo|secho|prompt|confirm)\(|(?<![\w.])(?:print|Console)\(|(?<![\w.])input\('|rich\.print"
    r"|sys\.__?std(?:out|err)|sys\.std(?:out|err)(?!\.isatty\(\)|\.close\(\))|console\.file\b|os\.write\([12],"
)


class _Texts(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) else node


def _remove_texts(tree: ast.Module) -> ast.Module:
    return _Texts().visit(tree)  # type: ignore[no-any-return]


def test_commands_write_through_one_module() -> None:
    """Other modules would print names and messages that control the operator's terminal."""
    root = Path(nightferry.__file__).parent
    found = []
    for file in sorted(root.rglob("*.py")):
        module = ".".join(file.relative_to(root).with_suffix("").parts)
        if (
            module.split(".")[0] in ("container", "job", "lambdas", "testing")
            or module in WRITERS
            or "project-template" in module
        ):
            continue
        code = ast.unparse(_remove_texts(ast.parse(file.read_text(encoding="utf-8"))))
        found += [f"{module}: {match[0]}" for match in WRITE.finditer(code)]
    assert found == []


def test_the_toolkit_does_not_import_the_workload() -> None:
    assert "paidleave" not in GRAPH.modules


def test_no_folder_has_more_than_16_modules() -> None:
    root = Path(nightferry.__file__).parent
    too_large = {
        str(folder): len(modules)
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir()))
        if len(modules := [file for file in folder.glob("*.py") if file.name != "__init__.py"]) > 16
    }
    assert not too_large
