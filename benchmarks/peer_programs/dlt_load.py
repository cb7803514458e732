"""Load wages with dlt into one flat table of its own dataset. It runs in ``.venv-bench``.

With the fourth argument ``records``, dlt receives Python records; with ``arrow``, it receives Arrow tables, which
Polars decodes. dlt writes files of CSV in both cases, and loads them with COPY.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import polars as pl

from benchmarks.peer_programs.b_lines import read_arguments, read_batches

BATCH = 50_000


def main() -> None:
    """Load the file."""
    file, fields, conninfo = read_arguments()
    parts = dict(part.split("=", 1) for part in conninfo.split())
    # dlt requires a host and a password. libpq uses the host of the query, the folder of the server's socket.
    url = f"postgresql://{parts['user']}:unused@localhost:{parts['port']}/{parts['dbname']}?host={parts['host']}"
    is_arrow = sys.argv[4] == "arrow"
    data = _read_arrow(file, fields) if is_arrow else read_batches(file, fields, BATCH)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
        pipeline = dlt.pipeline(
            "bench", pipelines_dir=folder, destination=dlt.destinations.postgres(url), dataset_name="peer"
        )
        pipeline.run(data, table_name="wages", write_disposition="append", loader_file_format="csv")


def _read_arrow(file: Path, fields: list[tuple[str, int, str]]) -> Iterator[Any]:
    """Yield Arrow tables with the same values as the Python records."""
    lines = pl.read_csv(
        file, has_header=False, separator="\x01", quote_char=None, new_columns=["line"], schema={"line": pl.String}
    )
    columns = []
    start = 0
    for name, width, kind in fields:
        columns.append(_convert(pl.col("line").str.slice(start, width).str.strip_chars(), kind).alias(name))
        start += width
    for batch in lines.iter_slices(BATCH):
        yield batch.select(columns).to_arrow()


def _convert(text: pl.Expr, kind: str) -> pl.Expr:
    match kind:
        case "date":
            return text.str.to_date("%Y%m%d")
        case "bool":
            return text == "T"
        case "amount":
            return text.cast(pl.Decimal(20, 2))
        case _:
            return text


if __name__ == "__main__":
    main()
