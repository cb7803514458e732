"""CSV items of a distributed Map. Source: developer guide, "How Step Functions parses input CSV files"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from nightferry.states.data.payload import Json


class UnreadableItems(ValueError):
    """The content does not match the ReaderConfig."""


def parse_records(text: str, delimiter: str, header: list[str] | None) -> list[Json]:
    """Return each row as an object; without ``header``, the first row is the header. Raises UnreadableItems.

    Missing fields at the end of a row are empty; fields beyond the header are ignored.
    """
    rows = parse_rows(text, delimiter)
    names = next(rows, []) if header is None else header
    empty = [""] * len(names)
    return [dict(zip(names, [*row, *empty], strict=False)) for row in rows]


def parse_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows that are not blank; they end at LF or CR LF. Raises UnreadableItems.

    A quotation mark at the start of a field encloses it. Two marks in a field are one mark. A backslash before a
    backslash, a mark or the delimiter gives that character; any other backslash is removed.
    """
    row: list[str] = []
    field: list[str] | None = None  # None: not begun
    quoted = False
    for match in _compile(delimiter).finditer(text):
        kind, token = match.lastgroup, match[0]
        if kind == "marks":
            marks, begins = len(token), field is None
            field = field or []
            if begins and (marks % 2 == 1 or _ends_field(text, match.end(), delimiter)):
                quoted, marks = True, marks - 1
            field.append('"' * (marks // 2))
            if marks % 2 and quoted:
                quoted = False
            elif marks % 2:
                field.append('"')
        elif quoted or kind in ("text", "escaped", "backslash"):
            field = field or []
            field.append(match["escaped"] if kind == "escaped" else "" if kind == "backslash" else token)
        elif kind == "delimiter":
            row.append("".join(field or ()))
            field = None
        elif kind == "end":
            if row or field is not None:
                yield [*row, "".join(field or ())]
            row, field = [], None
    if quoted:
        raise UnreadableItems("The last quotation mark that begins a field has no end.")
    if row or field is not None:
        yield [*row, "".join(field or ())]


def _ends_field(text: str, at: int, delimiter: str) -> bool:
    return at == len(text) or text[at] in (delimiter, "\n") or text.startswith("\r\n", at)


@lru_cache(maxsize=8)
def _compile(delimiter: str) -> re.Pattern[str]:
    special = re.escape(delimiter)
    return re.compile(
        rf'(?P<text>[^"\\\r\n{special}]+|\r(?!\n))|\\(?P<escaped>["\\{special}])|(?P<backslash>\\)|(?P<marks>"+)'
        rf"|(?P<end>\r?\n)|(?P<delimiter>{special})"
    )
