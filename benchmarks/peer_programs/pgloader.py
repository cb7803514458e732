"""The load file of pgloader: B lines of fixed width into one flat table without keys and indexes."""

from __future__ import annotations

from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

_TYPES = {"date": "date", "bool": "boolean", "amount": "numeric"}

_TEMPLATE = """\
LOAD FIXED
  FROM '{file}' WITH ENCODING utf-8
  ({fields})
  INTO postgresql://{user}@unix:{host}:{port}/{dbname}
  TARGET TABLE public.peer_wages ({names})
  BEFORE LOAD DO
    $$ CREATE TABLE public.peer_wages ({columns}); $$;
"""


def write_load_file(target: Path, file: Path, fields: list[tuple[str, int, str]], conninfo: str) -> None:
    """Write the commands that load ``file`` into the database of a connection string to ``target``.

    pgloader trims texts. PostgreSQL ignores the blanks around amounts.
    """
    described = []
    start = 0
    for name, width, kind in fields:
        option = " [trim right whitespace]" if kind == "text" else ""
        described.append(f"{name} from {start} for {width}{option}")
        start += width
    target.write_text(
        _TEMPLATE.format(
            file=file,
            fields=", ".join(described),
            names=", ".join(name for name, _, _ in fields),
            columns=", ".join(f"{name} {_TYPES.get(kind, 'text')}" for name, _, kind in fields),
            **conninfo_to_dict(conninfo),
        ),
        encoding="utf-8",
    )
