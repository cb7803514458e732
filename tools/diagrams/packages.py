"""The packages of a project in layers. An arrow is an import, unless others lead to the same package."""

from __future__ import annotations

from collections.abc import Mapping

import grimp

from tools.diagrams.figure import Box, Edge, Figure, Panel

Graph = Mapping[str, set[str]]


def find_imports(project: str, divided: frozenset[str] = frozenset()) -> dict[str, set[str]]:
    """Return the packages that each package imports, with those below the packages ``divided`` as their own."""
    graph = grimp.build_graph(project, cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in sorted(graph.modules):
        own = _find_package(module, divided)
        if own and own not in divided:
            found.setdefault(own, set())
        for imported in graph.find_modules_directly_imported_by(module):
            other = _find_package(imported, divided)
            if own and other and own != other:
                found.setdefault(own, set()).add(other)
                found.setdefault(other, set())
    names = {module.partition(".")[2] for module in graph.modules}
    below = {name.rpartition(".")[0] for name in names}
    return _join_commands(found, frozenset(name for name in names - below if name.split(".")[0] in divided))


def _find_package(module: str, divided: frozenset[str]) -> str:
    """Return the package of a module by its name in the project; an empty text for the project itself."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 2 if parts and parts[0] in divided else 1])


def _join_commands(graph: dict[str, set[str]], modules: frozenset[str]) -> dict[str, set[str]]:
    """Return the graph with the modules of a divided package that no package imports as one: its commands."""
    imported = set().union(*graph.values())
    joined: dict[str, set[str]] = {}
    for package, imports in graph.items():
        is_command = package in modules and package not in imported
        joined.setdefault(package.split(".")[0] if is_command else package, set()).update(imports)
    return {package: joined[package] - {package} for package in sorted(joined)}


def reduce(graph: Graph) -> list[tuple[str, str]]:
    """Return the edges of a graph without cycles that no longer way replaces."""
    below: dict[str, set[str]] = {}

    def list_below(package: str) -> set[str]:
        if package not in below:
            below[package] = set(graph[package]).union(*(list_below(one) for one in graph[package]))
        return below[package]

    return [
        (package, other)
        for package in graph
        for other in sorted(graph[package])
        if not any(other in list_below(one) for one in graph[package] if one != other)
    ]


def _note(package: str, divided: frozenset[str]) -> tuple[str, ...]:
    parent, _, _ = package.rpartition(".")
    return (f"in {parent}",) if parent else ("its commands",) if package in divided else ()


def build(name: str, project: str, divided: frozenset[str] = frozenset()) -> Figure:
    """Return the figure of a project's packages."""
    graph = find_imports(project, divided)
    edges = reduce(graph)
    importing = {start for start, _ in edges}
    imported = {end for _, end in edges}
    boxes = [
        Box(
            package,
            package.split(".")[-1],
            _note(package, divided),
            kind="start" if package not in imported else "idle" if package not in importing else "plain",
        )
        for package in graph
    ]
    return Figure(
        name,
        f"The packages of {project} and their imports",
        f"An arrow leads from a package to one that it imports. {len(edges)} of "
        f"{sum(map(len, graph.values()))} imports are shown; the others follow from them.",
        [[Panel(boxes, [Edge(start, end) for start, end in edges])]],
        ["An arrow is an import. Imports that follow from others are left out. Nothing imports the yellow packages."],
    )
