"""The type of what a job's main function returns, read from its source without importing it.

The fields of a TypedDict, a dataclass or a pydantic model are known from the class's source, with those of its base
classes, in the same module or in one that the module imports from. Any other annotation, such as ``dict[str, int]``,
allows any member.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path

from nightferry.catalog.main_function import Imports, find_spec

_BASES = frozenset({"TypedDict", "BaseModel", "NamedTuple", "object"})
_KINDS = {
    **dict.fromkeys(("str", "date", "datetime", "UUID", "Decimal", "Path", "PurePath"), "text"),
    **dict.fromkeys(("int", "float"), "number"),
    "bool": "Boolean",
    **dict.fromkeys(("list", "tuple", "set", "frozenset", "Sequence", "List", "Set"), "list"),
    **dict.fromkeys(("dict", "Mapping", "Dict"), "object"),
}


@dataclass(frozen=True)
class ResultType:
    """What a main function returns.

    Attributes:
        returns: False if it returns nothing.
        name: the class that it returns.
        fields: the annotation of each member; None if any member is allowed.
    """

    returns: bool
    name: str = ""
    fields: Mapping[str, ast.expr] | None = None

    def find_kind(self, members: Sequence[str]) -> str | None:
        """Return ``text``, ``number``, ``Boolean``, ``list`` or ``object`` for a member; None if it is not known."""
        if not members:
            return "object"
        if len(members) > 1 or self.fields is None or members[0] not in self.fields:
            return None
        annotation = _strip_wrappers(self.fields[members[0]])
        outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
        return _KINDS.get(ast.unparse(outer).rpartition(".")[2])


def read_result_type(main: str) -> ResultType:
    """Return the type of the result of ``main`` (``package.module:function``), which must exist."""
    module, _, name = main.partition(":")
    source = _Source.read(module)
    function = None if source is None else source.functions.get(name)
    if source is None or function is None:
        return ResultType(returns=True)
    if function.returns is None:
        return ResultType(returns=_has_return_value(function))
    annotation = _parse_text(function.returns)
    if ast.unparse(annotation).rpartition(".")[2] in ("None", "NoReturn", "Never"):
        return ResultType(returns=False)
    text = ast.unparse(_strip_none(annotation))
    return ResultType(returns=True, name=text, fields=source.find_fields(text))


@dataclass
class _Source:
    """A module's functions, classes and imports."""

    imports: Imports
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)

    @classmethod
    def read(cls, module: str) -> _Source | None:
        spec = find_spec(module)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            return None
        try:
            return cls._parse(spec, Path(spec.origin))
        except (OSError, SyntaxError, ValueError):
            return None

    @classmethod
    def _parse(cls, spec: ModuleSpec, path: Path) -> _Source:
        tree = ast.parse(path.read_bytes(), str(path))
        source = cls(Imports(tree, spec))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                source.functions[node.name] = node
            elif isinstance(node, ast.ClassDef):
                source.classes[node.name] = node
        return source

    def find_fields(self, name: str, depth: int = 0) -> dict[str, ast.expr] | None:
        """Return the fields of a class, or None if its source is not known completely."""
        if depth > 10:
            return None
        if (definition := self.classes.get(name)) is None:
            module, attributes = self.imports.resolve(name) or ("", "")
            inner, _, attribute = attributes.rpartition(".")  # a module of a package, as in types.Loaded
            source = _Source.read(".".join(filter(None, (module, inner)))) if module and attribute else None
            return None if source is None else source.find_fields(attribute, depth + 1)
        found: dict[str, ast.expr] = {}
        for base in definition.bases:
            text = ast.unparse(base)
            if text.rpartition(".")[2] in _BASES:
                continue
            inherited = self.find_fields(text, depth + 1)
            if inherited is None:
                return None
            found |= inherited
        own = [
            node for node in definition.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        ]
        found |= {node.target.id: node.annotation for node in own if isinstance(node.target, ast.Name)}
        return found if found or definition.bases else None


def _has_return_value(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return True if a function returns a value; functions within it do not count."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return) and node.value is not None:
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return False


def _parse_text(annotation: ast.expr) -> ast.expr:
    """Return the annotation that a text contains."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return annotation
    return annotation


def _strip_none(annotation: ast.expr) -> ast.expr:
    """Return ``X`` for ``X | None`` and ``Optional[X]``."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return left
        case ast.BinOp(left=ast.Constant(value=None), op=ast.BitOr(), right=right):
            return right
        case ast.Subscript(value=outer, slice=inner) if ast.unparse(outer).rpartition(".")[2] == "Optional":
            return inner
    return annotation


def _strip_wrappers(annotation: ast.expr) -> ast.expr:
    """Return the type of a member without ``NotRequired``, ``Required``, ``Annotated`` and ``| None``."""
    annotation = _strip_none(_parse_text(annotation))
    if isinstance(annotation, ast.Subscript):
        outer = ast.unparse(annotation.value).rpartition(".")[2]
        inner = annotation.slice
        if outer in ("NotRequired", "Required", "ReadOnly", "Final"):
            return _strip_wrappers(inner)
        if outer == "Annotated" and isinstance(inner, ast.Tuple):
            return _strip_wrappers(inner.elts[0])
    return annotation
