"""Splits SQL into statements, and formats the position of an error with literals masked.

sqlglot's tokenizer handles PostgreSQL's strings, dollar quotes and nested comments. Safety does not depend on it: each
statement is sent over the extended protocol, which refuses more than one.
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
_EXCERPT_WIDTH = 80  # characters shown of a line, around the position


class IncompleteSql(ValueError):
    """The text ends within a string, a comment or a quoted name."""


@dataclass(frozen=True)
class Statement:
    """A statement, and its offset in the source text (in characters, from 0)."""

    text: str
    start: int
    source: str


def split(text: str) -> list[Statement]:
    """Return the statements of ``text`` without empty ones. Raises IncompleteSql."""
    pieces: list[list[Token]] = [[]]
    for token in _tokenize(text):
        if token.token_type is TokenType.SEMICOLON:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return [Statement(text[p[0].start : p[-1].end + 1], p[0].start, text) for p in pieces if p]


def format_position(text: str, position: int) -> str:
    """Return line and column of ``position`` (in characters, from 0), and below them the line with a caret.

    Literals and comments are masked because they may contain personal data.
    """
    position = min(position, len(text))
    line = text.count("\n", 0, position) + 1
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    shown = mask_literals(text)[start : end if end >= 0 else len(text)].replace("\t", " ")
    column = position - start
    left = max(0, column - _EXCERPT_WIDTH // 2)
    excerpt = shown[left : left + _EXCERPT_WIDTH].rstrip()
    return f"line {line}, column {column + 1}:\n{excerpt}\n{' ' * (column - left)}^"


def mask_literals(text: str) -> str:
    """Return ``text`` with a dot for each character that is not white space or part of a keyword, name or operator."""
    masked = ["\n" if character == "\n" else " " if character.isspace() else "·" for character in text]
    try:
        tokens = _tokenize(text)
    except IncompleteSql:
        return "".join(masked)
    for token in tokens:
        token_text = text[token.start : token.end + 1]
        is_literal = token.token_type in _LITERALS
        masked[token.start : token.end + 1] = ["·" if is_literal and c != "\n" else c for c in token_text]
    return "".join(masked)


def _tokenize(text: str) -> list[Token]:
    from sqlglot.dialects.postgres import Postgres

    try:
        return Postgres().tokenize(text)
    except SqlglotError:
        raise IncompleteSql from None
