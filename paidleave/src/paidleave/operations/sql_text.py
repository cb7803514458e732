"""SQL as text: split into statements, and shown with the place of an error but without its literals.

The tokenizer of sqlglot knows where PostgreSQL's strings, dollar quotes and nested comments end. Nothing depends on it
for safety: the server gets each piece by the extended protocol, which refuses more than one statement.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

_LITERALS = {
    TokenType.STRING,
    TokenType.NUMBER,
    TokenType.HEREDOC_STRING,
    TokenType.RAW_STRING,
    TokenType.NATIONAL_STRING,
    TokenType.BYTE_STRING,
    TokenType.BIT_STRING,
    TokenType.HEX_STRING,
    TokenType.UNICODE_STRING,
}
_WIDTH = 80  # characters of a line that are shown around the place


class NotSql(ValueError):
    """The text ends within a string, a comment or a quoted name."""


@dataclass(frozen=True)
class Statement:
    """One statement of a ``whole`` text, and where it begins there (in characters, from 0)."""

    text: str
    start: int
    whole: str


def split(text: str) -> list[Statement]:
    """The statements of ``text``, without empty ones. Raises NotSql."""
    pieces: list[list[Token]] = [[]]
    for token in _tokens(text):
        if token.token_type is TokenType.SEMICOLON:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return [Statement(text[p[0].start : p[-1].end + 1], p[0].start, text) for p in pieces if p]


def place(text: str, position: int) -> str:
    """Line and column of ``position`` (in characters, from 0) and, below, that line with a caret.

    Literals and comments are blotted out: they may hold what must not be shown.
    """
    position = min(position, len(text))
    line = text.count("\n", 0, position) + 1
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    shown = without_literals(text)[start : end if end >= 0 else len(text)].replace("\t", " ")
    column = position - start
    left = max(0, column - _WIDTH // 2)
    return f"line {line}, column {column + 1}:\n{shown[left : left + _WIDTH].rstrip()}\n{' ' * (column - left)}^"


def without_literals(text: str) -> str:
    """``text`` with a dot for each character that is not part of a keyword, a name or a sign; lines stay."""
    kept = ["\n" if character == "\n" else " " if character.isspace() else "·" for character in text]
    try:
        tokens = _tokens(text)
    except NotSql:
        return "".join(kept)
    for token in tokens:
        own = text[token.start : token.end + 1]
        is_literal = token.token_type in _LITERALS
        kept[token.start : token.end + 1] = ["·" if is_literal and c != "\n" else c for c in own]
    return "".join(kept)


def _tokens(text: str) -> list[Token]:
    from sqlglot.dialects.postgres import Postgres

    try:
        return Postgres().tokenize(text)
    except SqlglotError:
        raise NotSql from None
