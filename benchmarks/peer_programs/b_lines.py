"""Decode B lines in plain Python, with the standard library only, because each peer has its own packages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def read_arguments() -> tuple[Path, list[tuple[str, int, str]], str]:
    """Return the file, the name, width and kind of each field, and the connection string on the command line."""
    file, fields, conninfo = sys.argv[1:4]
    return Path(file), [(name, width, kind) for name, width, kind in json.loads(fields)], conninfo


def read_batches(file: Path, fields: list[tuple[str, int, str]], size: int) -> Iterator[list[Record]]:
    """Yield the records of ``file`` as lists of up to ``size``. An invalid value raises ValueError."""
    with file.open(encoding="utf-8", newline="\n") as lines:
        records = (_decode(line, fields) for line in lines)
        while batch := list(islice(records, size)):
            yield batch


def _decode(line: str, fields: list[tuple[str, int, str]]) -> Record:
    record: Record = {}
    start = 0
    for name, width, kind in fields:
        text = line[start : start + width].strip()
        start += width
        match kind:
            case "date":
                record[name] = date.fromisoformat(text)
            case "bool":
                record[name] = text == "T"
            case "amount":
                record[name] = Decimal(text)
            case _:
                record[name] = text
    return record
