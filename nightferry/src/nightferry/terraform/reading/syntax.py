"""Parse the expressions and templates of Terraform's language into a syntax tree."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

Item = TypeVar("Item")


class UnsupportedSyntax(ValueError):
    """An expression that is outside the supported subset of the language."""


@dataclass(frozen=True)
class Literal:
    """A number, ``true``, ``false`` or ``null``."""

    value: Any


@dataclass(frozen=True)
class Template:
    """Text with interpolations; parts may be in any order."""

    parts: tuple[str | Node, ...]


@dataclass(frozen=True)
class Traversal:
    """A name or an expression with steps: an attribute name, a node for an index, or None for ``[*]``."""

    root: str | Node
    steps: tuple[str | Node | None, ...]


@dataclass(frozen=True)
class Call:
    """A call of a function."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Operation:
    """An operator and its one or two operands."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Conditional:
    """``condition ? yes : no``."""

    condition: Node
    yes: Node
    no: Node


@dataclass(frozen=True)
class Items:
    """``[a, b]``."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Pairs:
    """``{a = b}``."""

    pairs: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True)
class For:
    """``[for key, value in source : result if condition]``, or an object if ``result_key`` is set."""

    names: tuple[str, ...]
    source: Node
    result_key: Node | None
    result: Node
    condition: Node | None
    text: str


Node = Literal | Template | Traversal | Call | Operation | Conditional | Items | Pairs | For

_LEVELS = (("||",), ("&&",), ("==", "!="), ("<=", ">=", "<", ">"), ("+", "-"), ("*", "/", "%"))
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_NUMBER = re.compile(r"[0-9]{1,100}(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,3})?")
_MAX_NESTING = 50
_PLAIN = re.compile(r'[^$%"\\]+')
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


@lru_cache(maxsize=10_000)  # the same texts stand in many resources, and are read for each of their references
def parse_template(text: str) -> Template:
    """Parse the text of a JSON string, which Terraform evaluates as a template.

    Raises:
        UnsupportedSyntax: The text contains an expression that is not supported.
    """
    return _Parser(text).parse_template(quoted=False)


class _Parser:
    """A recursive-descent parser of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parse_template(self, *, quoted: bool) -> Template:
        """Parse up to the end of the text, or up to the closing quotation mark."""
        parts: list[str | Node] = []
        plain = ""
        while self._at < len(self._text):
            if found := _PLAIN.match(self._text, self._at):
                plain, self._at = plain + found[0], found.end()
                continue
            rest = self._text[self._at : self._at + 3]
            if quoted and rest[0] == '"':
                break
            if rest.startswith(("$${", "%%{")):
                plain, self._at = plain + rest[1:3], self._at + 3
            elif rest.startswith("${"):
                if plain:
                    parts.append(plain)
                plain, self._at = "", self._at + 2
                parts.append(self._parse_expression())
                self._expect("}", spaces_after=False)
            elif rest.startswith("%{"):
                self._fail("an expression instead of a directive")
            elif quoted and rest[0] == "\\" and len(rest) > 1:
                plain, self._at = plain + _ESCAPES.get(rest[1], rest[1]), self._at + 2
            else:
                plain, self._at = plain + rest[0], self._at + 1
        if plain or not parts:
            parts.append(plain)
        return Template(tuple(parts))

    def _parse_expression(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_NESTING:
            self._fail("less deeply nested expressions")
        node = self._parse_condition()
        self._depth -= 1
        return node

    def _parse_condition(self) -> Node:
        condition = self._parse_operation(0)
        if not self._accept("?"):
            return condition
        yes = self._parse_expression()
        self._expect(":")
        return Conditional(condition, yes, self._parse_expression())

    def _parse_operation(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._parse_unary()
        left = self._parse_operation(level + 1)
        while operator := next((sign for sign in _LEVELS[level] if self._accept(sign)), None):
            left = Operation(operator, (left, self._parse_operation(level + 1)))
        return left

    def _parse_unary(self) -> Node:
        signs = []
        while sign := next((sign for sign in ("!", "-") if self._accept(sign)), None):
            signs.append(sign)
        if len(signs) > _MAX_NESTING:
            self._fail("fewer operators")
        node = self._parse_steps(self._parse_primary())
        for sign in reversed(signs):
            node = Operation(sign, (node,))
        return node

    def _parse_steps(self, of: Node) -> Node:
        steps: list[str | Node | None] = []
        while True:
            if self._accept(".*") or self._accept("[*]"):
                steps.append(None)
            elif self._accept("."):
                steps.append(self._match(_NAME) or self._match(_NUMBER) or self._fail("a name"))
            elif self._accept("["):
                steps.append(self._parse_expression())
                self._expect("]")
            else:
                break
        if not steps:
            return of
        if isinstance(of, Traversal) and not of.steps:
            return Traversal(of.root, tuple(steps))
        return Traversal(of, tuple(steps))

    def _parse_primary(self) -> Node:
        self._skip_spaces()
        if self._accept("("):
            inner = self._parse_expression()
            self._expect(")")
            return inner
        if self._peek('"'):
            self._at += 1
            text = self.parse_template(quoted=True)
            self._expect('"')
            return text
        if self._peek("["):
            return self._parse_collection("[", "]", self._parse_items)
        if self._peek("{"):
            return self._parse_collection("{", "}", self._parse_pairs)
        if number := self._match(_NUMBER):
            return Literal(float(number) if set(number) & set(".eE") else int(number))
        name = self._match(_NAME) or self._fail("an expression")
        if name in ("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[name])
        if self._accept("("):
            return Call(name, tuple(self._parse_list(")", self._parse_expression)))
        return Traversal(name, ())

    def _parse_collection(self, opening: str, closing: str, plain: Callable[[], Node]) -> Node:
        start = self._at
        self._expect(opening)
        if self._accept_keyword("for"):
            return self._parse_for(closing, start)
        return plain()

    def _parse_items(self) -> Node:
        return Items(tuple(self._parse_list("]", self._parse_expression)))

    def _parse_pairs(self) -> Node:
        return Pairs(tuple(self._parse_list("}", self._parse_pair)))

    def _parse_pair(self) -> tuple[Node, Node]:
        key = self._parse_expression()
        if isinstance(key, Traversal) and isinstance(key.root, str) and not key.steps:
            key = Template((key.root,))
        if not self._accept("="):
            self._expect(":")
        return key, self._parse_expression()

    def _parse_for(self, closing: str, start: int) -> Node:
        names = [self._match(_NAME) or self._fail("a name")]
        if self._accept(","):
            names.append(self._match(_NAME) or self._fail("a name"))
        if not self._accept_keyword("in"):
            self._fail("in")
        source = self._parse_expression()
        self._expect(":")
        key, result = None, self._parse_expression()
        if closing == "}":
            self._expect("=>")
            key, result = result, self._parse_expression()
        condition = self._parse_expression() if self._accept_keyword("if") else None
        self._expect(closing)
        return For(tuple(names), source, key, result, condition, self._text[start : self._at].strip())

    def _parse_list(self, closing: str, item: Callable[[], Item]) -> list[Item]:
        found = []
        while not self._accept(closing):
            found.append(item())
            if not self._accept(","):
                self._expect(closing)
                break
        return found

    # ── characters ────────────────────────────────────────────────────────────────────────────────────────────

    def _skip_spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _peek(self, sign: str) -> bool:
        self._skip_spaces()
        return self._text.startswith(sign, self._at)

    def _accept(self, sign: str) -> bool:
        # A sign that is the start of a longer one, such as "=" of "==", must not match the longer one.
        longer = {"=": ("==", "=>"), "!": ("!=",), "<": ("<=",), ">": (">=",)}.get(sign, ())
        if not self._peek(sign) or any(self._peek(other) for other in longer):
            return False
        self._at += len(sign)
        return True

    def _expect(self, sign: str, *, spaces_after: bool = True) -> None:
        if not self._accept(sign):
            self._fail(f"'{sign}'")
        if spaces_after and sign != '"':
            self._skip_spaces()

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        self._skip_spaces()
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _accept_keyword(self, word: str) -> bool:
        before = self._at
        if self._match(_NAME) == word:
            return True
        self._at = before
        return False

    def _fail(self, wanted: str) -> NoReturn:
        raise UnsupportedSyntax(f"{self._text!r}: {wanted} expected at {self._at}")
