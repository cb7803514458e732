"""A job's main function, read from its source without importing it.

``main="acme.jobs:load_orders"`` names a function that :func:`nightferry.job.background_task` decorates. A catalog needs
the job's settings class, but must not import the job's own dependencies (drivers, data frames). This module therefore
reads the syntax tree: the decorator names the task and its settings class, the imports name the module that defines the
class, and only that module is imported. If the job's own module defines the class, that module is imported. Put the
settings of a job with slow imports in a separate module.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from nightferry.errors import EXTRA_OF_PACKAGE, InvalidMain

_DECORATOR = "background_task"


def find_settings_class(main: str, task: str, declaration: str, location: str) -> Any:
    """Return the settings class of ``main`` (``package.module:function``), the job of ``task``.

    Raises :class:`~nightferry.errors.InvalidMain`.
    """
    try:
        if not isinstance(main, str):
            raise _Problem("use the name of the function as 'module:function', so that the catalog imports no job.")
        return _read_job(main, task)
    except _Problem as problem:
        raise InvalidMain(f"main = {main!r}: {problem}", declaration=declaration, location=location) from None


class _Problem(Exception):
    """A problem with a ``main``, as a sentence."""


def _read_job(main: str, task: str) -> Any:
    module, colon, function = main.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), function)):
        raise _Problem('use the form "package.module:function".')
    spec = find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise _Problem(f"module '{module}' not found. Correct the name, or install the project.")
    try:
        tree = ast.parse(Path(spec.origin).read_bytes(), spec.origin)
    except (SyntaxError, ValueError) as error:
        raise _Problem(f"{spec.origin}:{getattr(error, 'lineno', None) or 1} is not valid Python: {error}.") from None
    name, settings = _read_decorator(tree, function, spec.origin)
    if name != task:
        raise _Problem(
            f"its {_DECORATOR} decorator has the name '{name}', not '{task}'. Give the task and the job the same name."
        )
    return _import_settings_class(settings, Imports(tree, spec), module)


def find_spec(module: str) -> ModuleSpec | None:
    """Return a module's spec without importing the module or its parent packages."""
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
    """Return the task's name and the settings class from the decorator of ``function``."""
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
        raise _Problem(f"'{function}' is not a job. Add @{_DECORATOR}(NAME, SETTINGS) to it in {file}.")
    given = dict(zip(("name", "settings"), call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    name = given.get("name")
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str) or "settings" not in given:
        raise _Problem(f'{file}:{call.lineno}: use the form @{_DECORATOR}("name-of-the-task", SettingsClass).')
    return name.value, given["settings"]


def _get_decorator_call(decorator: ast.expr) -> ast.Call | None:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).rpartition(".")[2] == _DECORATOR:
        return decorator
    return None


class Imports:
    """The imported names of a module and the objects that they refer to."""

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
        """Return the module that ``expression`` refers to and the attributes to read from it, or None if not imported.

        After ``import acme.settings as settings``, ``settings.Load`` resolves to ``("acme.settings", "Load")``.
        """
        for name in sorted(self._names, key=len, reverse=True):
            if expression == name or expression.startswith(f"{name}."):
                module, attribute = self._names[name]
                return module, f"{attribute}{expression[len(name) :]}".lstrip(".")
        return None


def _import_settings_class(settings: ast.expr, imports: Imports, own: str) -> Any:
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
        cure = "Correct the import, or define the class above the declaration."
        package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if package and package != module.partition(".")[0]:
            extra = f"'nightferry[{EXTRA_OF_PACKAGE[package]}]'" if package in EXTRA_OF_PACKAGE else package
            cure = f"Add {extra} to the dependencies in pyproject.toml and install it: pip install {extra}"
        raise _Problem(
            f"cannot import its settings class {expression} from {module}: {str(error).rstrip('.')}. {cure}"
        ) from None
    if not (isinstance(value, type) and issubclass(value, BaseModel)):
        raise _Problem(f"{expression} in {module} is not a settings class. Derive it from nightferry.JobSettings.")
    return value
