"""A job's main function, found in the source without importing it.

``main="acme.jobs:load_orders"`` names a function that :func:`nightferry.job.background_task` decorates. A catalog needs
the job's settings class, and must not load what the job itself needs (drivers, data frames). So the module's syntax
tree is read: the decorator gives the name of the task and of its settings class, the module's imports give the module
that defines the class, and only that one is imported. A class that the job's own module defines makes that module be
imported; a job with slow imports keeps its settings in a module of its own.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from nightferry.errors import InvalidMain

_DECORATOR = "background_task"


def find_settings_class(main: str, task: str, declaration: str, location: str) -> Any:
    """Return the settings class of ``main`` (``package.module:function``), the job of ``task``.

    Raises :class:`~nightferry.errors.InvalidMain`.
    """
    try:
        return _read_job(main, task)
    except _Problem as problem:
        raise InvalidMain(f"main = {main!r}: {problem}", declaration=declaration, location=location) from None


class _Problem(Exception):
    """What is wrong with a ``main``, as a sentence."""


def _read_job(main: str, task: str) -> Any:
    module, colon, function = main.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), function)):
        raise _Problem('write it as "package.module:function".')
    spec = _find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise _Problem(f"there is no module '{module}'. Correct the name, or install the project.")
    try:
        tree = ast.parse(Path(spec.origin).read_bytes(), spec.origin)
    except (SyntaxError, ValueError) as error:
        raise _Problem(f"{spec.origin}:{getattr(error, 'lineno', None) or 1} is not valid Python: {error}.") from None
    name, settings = _read_decorator(tree, function, spec.origin)
    if name != task:
        raise _Problem(
            f"{_DECORATOR} calls this job '{name}' there, not '{task}'. Give the task and the job the same name."
        )
    return _import_settings_class(settings, _Imports(tree, spec), module)


def _find_spec(module: str) -> ModuleSpec | None:
    """Return where a module is, without importing it or the packages around it."""
    name, path = "", None
    spec: ModuleSpec | None = None
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        found = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next((one for one in found if one is not None), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations
        if path is None and name != module:
            return None
    return spec


def _read_decorator(tree: ast.Module, function: str, file: str) -> tuple[str, ast.expr]:
    """Return the task's name and the settings class in the decorator of ``function``."""
    jobs = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            jobs[node.name] = next((call for each in node.decorator_list if (call := _get_decorator_call(each))), None)
    if function not in jobs:
        near = difflib.get_close_matches(function, jobs, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise _Problem(f"{file} defines no function '{function}'.{hint}")
    call = jobs[function]
    if call is None:
        raise _Problem(f"'{function}' is not a job. Put @{_DECORATOR}(NAME, SETTINGS) above it in {file}.")
    given = dict(zip(("name", "settings"), call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    name = given.get("name")
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str) or "settings" not in given:
        raise _Problem(f'{file}:{call.lineno}: write @{_DECORATOR}("name-of-the-task", SettingsClass).')
    return name.value, given["settings"]


def _get_decorator_call(decorator: ast.expr) -> ast.Call | None:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).rpartition(".")[2] == _DECORATOR:
        return decorator
    return None


class _Imports:
    """What the names of a module's top level stand for."""

    def __init__(self, tree: ast.Module, spec: ModuleSpec) -> None:
        self._names: dict[str, tuple[str, str]] = {}
        package = spec.name if spec.submodule_search_locations is not None else spec.name.rpartition(".")[0]
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                parts = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
                base = ".".join([*parts, *([node.module] if node.module else [])])
                self._names |= {alias.asname or alias.name: (base, alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                self._names |= {alias.asname or alias.name: (alias.name, "") for alias in node.names}
            elif isinstance(node, ast.ClassDef):
                self._names.pop(node.name, None)

    def resolve(self, expression: str) -> tuple[str, str] | None:
        """Return the module that ``expression`` needs and the attributes to take from it; None if it is not imported.

        ``settings.Load`` is, after ``import acme.settings as settings``, ``("acme.settings", "Load")``.
        """
        for name in sorted(self._names, key=len, reverse=True):
            if expression == name or expression.startswith(f"{name}."):
                module, attribute = self._names[name]
                return module, f"{attribute}{expression[len(name) :]}".lstrip(".")
        return None


def _import_settings_class(settings: ast.expr, imports: _Imports, own: str) -> Any:
    from pydantic import BaseModel

    expression = ast.unparse(settings)
    module, attributes = imports.resolve(expression) or (own, expression)
    try:
        value: Any = importlib.import_module(module)
        for attribute in filter(None, attributes.split(".")):
            if not hasattr(value, attribute) and hasattr(value, "__path__"):
                importlib.import_module(f"{value.__name__}.{attribute}")
            value = getattr(value, attribute)
    except (ImportError, AttributeError) as error:
        raise _Problem(
            f"its settings class {expression} cannot be imported from {module}: {error}. Correct the import, or define "
            "the class above the declaration."
        ) from None
    if not (isinstance(value, type) and issubclass(value, BaseModel)):
        raise _Problem(f"{expression} in {module} is not a settings class. Derive it from nightferry.job.JobSettings.")
    return value
