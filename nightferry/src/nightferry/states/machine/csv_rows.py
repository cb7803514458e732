"""Rows of a delimited text file, by the rules of Step Functions.

- A field in double quotes may contain the delimiter and line ends.
- A doubled quote is a quote, in a quoted field and after the first character of another field.
- A backslash escapes a backslash, a quote and the delimiter; before another character it is removed.

Source: developer guide, "How Step Functions parses input CSV files".
"""

from __future__ import annotations

import re
from collections.abc import Iterator


def read_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the fields of each row that is not empty."""
    special = re.compile(rf'[\\"\r\n{re.escape(delimiter)}]')
    row: list[str] = []
    field: list[str] = []
    quoted = False
    at = 0
    while match := special.search(text, at):
        start, at = at, match.end()
        field.append(text[start : match.start()])
        character, following = match[0], text[at : at + 1]
        if character == "\\":
            if following and following in f'\\"{delimiter}':
                field.append(following)
                at += 1
        elif character == '"':
            if following == '"' and (quoted or any(field)):
                field.append('"')
                at += 1
            else:
                quoted = not quoted
        elif quoted:
            field.append(character)
        else:
            row.append("".join(field))
            field = []
            if character != delimiter:
                if row != [""]:
                    yield row
                row = []
    row.append("".join([*field, text[at:]]))
    if row != [""]:
        yield row
