"""Bulk separation of accepted and rejected records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from paidleave.dor.files.batch import REJECT_SCHEMA
from paidleave.dor.files.formats import Format

NINE_DIGITS = "^[0-9]{9}$"


@dataclass(frozen=True)
class Check:
    """A rule for records. ``broken`` is true for records that break it; ``field`` is None for the whole line."""

    field: str | None
    reason: str
    broken: pl.Expr


@dataclass(frozen=True)
class Screened:
    """The accepted records by staging table, and the rows of the rejected ones.

    ``warnings`` counts accepted records with unusual values, by the name of the count in the report.
    """

    staged: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    warnings: Mapping[str, int] = field(default_factory=dict)


def check_change_time(latest: datetime) -> Check:
    """Return the check that a line was not changed after ``latest``; such a time would block later changes."""
    return Check("updated_date", "more than a day after the time of the file", pl.col("updated_date") > latest)


def screen(records: pl.DataFrame, format: Format, checks: Sequence[Check]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the ``records`` that pass all ``checks``, and the rejects, each with the first check that it breaks."""
    failed = pl.coalesce(
        *(pl.when(check.broken).then(pl.lit(number, pl.Int32)) for number, check in enumerate(checks)),
        pl.lit(None, pl.Int32),
    )
    checked = records.with_columns(failed.alias("failed_check"))
    if checked["failed_check"].null_count() == records.height:
        return records, _make_rejects([], format, checks)
    broken = checked.filter(pl.col("failed_check").is_not_null())
    return (
        checked.filter(pl.col("failed_check").is_null()).drop("failed_check"),
        _make_rejects(broken.select("line_number", "failed_check").iter_rows(), format, checks),
    )


def _make_rejects(broken: Iterable[tuple[int, ...]], format: Format, checks: Sequence[Check]) -> pl.DataFrame:
    rows = [(number, format.name, checks[check].field, checks[check].reason) for number, check in broken]
    return pl.DataFrame(rows, schema=REJECT_SCHEMA, orient="row")
