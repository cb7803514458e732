"""The texts in a project's source code, for a test that the redaction of logs does not change them.

Redaction hides the values of fields with personal names. A sentence such as ``f"password: {reason}"`` has the form of
such a field, and its reason would be hidden. ``find_messages`` reads the source code by its syntax trees, and
``Message.fill`` inserts values, so that a test can compare each message before and after redaction::

    for message in find_messages(Path("src")):
        text = message.fill(lambda expression: "5")
        assert redact(text) == text, message.location
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_PERCENT = re.compile(r"%(?:\((?P<name>\w+)\))?[-#0 +]*(?:\d+|\*)?(?:\.\d+)?[sdrfigxac](?!\w)")
_WORDS = re.compile(r"[A-Za-z]{2,}.*\s|\s.*[A-Za-z]{2,}", re.DOTALL)
_PART_OF_WORD = re.compile(r"[\w.@/-]\0|\0[\w@/-]|\0\.\w")
_OTHER_LANGUAGE = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|COPY|GRANT|<|\^|\()")


@dataclass(frozen=True)
class Placeholder:
    """A value that is inserted into a message. ``expression`` is its source code, empty if it is not known."""

    expression: str


@dataclass(frozen=True)
class Message:
    """A text of the source code: an f-string, a template with ``%s``, a concatenation or a constant."""

    location: str
    parts: tuple[str | Placeholder, ...]

    @property
    def placeholders(self) -> list[str]:
        """The expressions of the inserted values."""
        return [part.expression for part in self.parts if isinstance(part, Placeholder)]

    @property
    def has_parts_of_words(self) -> bool:
        """Return True if a value is a part of a word or path."""
        return _PART_OF_WORD.search(self.fill(lambda expression: "\0")) is not None  # noqa: ARG005

    def fill(self, choose: Callable[[str], str]) -> str:
        """Return the message with the value that ``choose`` returns for the expression of each placeholder.

        A placeholder directly after another one is empty, because two numbers would become one.
        """
        pieces = []
        for number, part in enumerate(self.parts):
            if isinstance(part, str):
                pieces.append(part)
            elif number == 0 or isinstance(self.parts[number - 1], str):
                pieces.append(choose(part.expression))
        return "".join(pieces)


def find_messages(folder: Path) -> list[Message]:
    """Return the texts with a word and a space in the Python files below ``folder``, without docstrings and SQL."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for line, parts in _find_texts(ast.parse(path.read_text(encoding="utf-8"))):
            constant = "".join(part if isinstance(part, str) else "0" for part in parts)
            if _WORDS.search(constant) and not _OTHER_LANGUAGE.match(constant):
                found.append(Message(f"{path.relative_to(folder)}:{line}", tuple(parts)))
    return found


def find_log_fields(folder: Path) -> list[tuple[str, str]]:
    """Return location and name of each field that is logged: the literal keys of ``extra`` and of ``report``."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for key in _list_field_keys(node):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    found.append((f"{path.relative_to(folder)}:{key.lineno}", key.value))
    return found


def _list_field_keys(node: ast.AST) -> list[ast.expr | None]:
    match node:
        case ast.keyword(arg="extra", value=ast.Dict(keys=keys)):
            return list(keys)
        case ast.AugAssign(target=ast.Attribute(attr="report") | ast.Name(id="report"), value=ast.Dict(keys=keys)):
            return list(keys)
        case ast.Subscript(value=ast.Attribute(attr="report") | ast.Name(id="report"), slice=key):
            return [key]
        case ast.FunctionDef(name=name) if "report" in name:
            return [key for inner in ast.walk(node) if isinstance(inner, ast.Dict) for key in inner.keys]
    return []


def _find_texts(tree: ast.Module) -> Iterator[tuple[int, list[str | Placeholder]]]:
    """Yield the line and the parts of each text expression that is not part of another one."""
    waiting: list[ast.AST] = [tree]
    arguments: dict[ast.expr, list[str]] = {}
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOG_METHODS:
            template = 1 if node.func.attr == "log" else 0
            values = [ast.unparse(argument) for argument in node.args[template + 1 :]]
            arguments |= dict.fromkeys(node.args[template : template + 1], values)
        if isinstance(node, ast.expr) and (pieces := _split(node)) is not None:
            yield node.lineno, _join(pieces, arguments.get(node, []))
            waiting += [piece for piece in pieces if isinstance(piece, ast.AST)]
            continue
        is_documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        children = list(ast.iter_child_nodes(node))
        if is_documented:  # also omits the docstrings of attributes
            children = [child for child in children if not _is_docstring(child)]
        waiting += children


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _split(node: ast.expr) -> list[str | ast.expr] | None:
    """Return the constant texts and the inserted expressions of a text expression, or None for another one."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            pieces: list[str | ast.expr] = []
            for value in values:
                inserted = value.value if isinstance(value, ast.FormattedValue) else value
                pieces += _split(inserted) or [inserted]
            return pieces
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            before, after = _split(left), _split(right)
            if before is not None or after is not None:
                return [*(before or [left]), *(after or [right])]
    return None


def _join(pieces: list[str | ast.expr], arguments: list[str]) -> list[str | Placeholder]:
    """Return the parts of a message, with ``%s`` replaced by placeholders for the ``arguments``."""
    parts: list[str | Placeholder] = []
    left = iter(arguments)
    for piece in pieces:
        if isinstance(piece, ast.expr):
            parts.append(Placeholder(ast.unparse(piece)))
            continue
        end = 0
        for percent in _PERCENT.finditer(piece):
            if percent.start() > end:
                parts.append(piece[end : percent.start()])
            parts.append(Placeholder(percent["name"] or next(left, "")))
            end = percent.end()
        if piece[end:]:
            parts.append(piece[end:])
    return parts


def list_changed(messages: Sequence[Message], values: Sequence[str], redact: Callable[[str], str]) -> list[str]:
    """Return the messages that ``redact`` changes although each of their values is one of the harmless ``values``.

    If a value is a part of a word, such as in ``{app}-{environment}``, only letters and digits are inserted.
    """
    found: dict[str, str] = {}
    for message in messages:
        words = [value for value in values if value.isalnum()]
        for value in words if message.has_parts_of_words else values:
            before = message.fill(lambda expression: value)  # noqa: ARG005, B023  # called at once
            if (after := redact(before)) != before:
                found.setdefault(message.location, f"{message.location}: {before!r} → {after!r}")
    return list(found.values())


def list_unhidden(messages: Sequence[Message], values: Sequence[str], redact: Callable[[str], str]) -> list[str]:
    """Return the messages in which ``redact`` leaves one of the personal or secret ``values``.

    A value that would be a part of a word, such as of ``{app}-{environment}``, is not inserted.
    """
    found: dict[str, str] = {}
    for message in messages:
        for value in values if message.placeholders and not message.has_parts_of_words else ():
            before = message.fill(lambda expression: value)  # noqa: ARG005, B023  # called at once
            if value in redact(before):
                found.setdefault(message.location, f"{message.location}: {before!r}")
    return list(found.values())
