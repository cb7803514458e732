"""The job: its settings and its function."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter

from pydantic import Field

from nightferry import JobFailed, JobSettings, Run, background_task, storage


class ReportSettings(JobSettings):
    """Sum the orders of a CSV file by region."""

    s3_uri: str = Field(description="Location of the CSV file")
    reports: str = Field(description="Folder for the reports")


@background_task("report", ReportSettings)
def report(settings: ReportSettings, run: Run) -> None:
    """Write the sum of each region as JSON."""
    totals: Counter[str] = Counter()
    with (
        storage.open_read(settings.s3_uri) as file,
        io.TextIOWrapper(file, encoding="utf-8", newline="") as lines,
        run.progress("read", unit="orders") as progress,
    ):
        rows = csv.DictReader(lines)
        if not {"region", "amount"} <= set(rows.fieldnames or ()):
            raise JobFailed(f"{settings.s3_uri} has no columns 'region' and 'amount'. Send the file with both.")
        for row in rows:
            try:
                totals[row["region"]] += int(row["amount"])
            except ValueError:
                raise JobFailed(f"{settings.s3_uri}, line {rows.line_num}: the amount is not a number.") from None
            progress.advance()
    name = storage.name(settings.s3_uri).removesuffix(".csv")
    with storage.open_write(storage.join(settings.reports, f"{name}.json")) as out:
        out.write(json.dumps(totals).encode())
