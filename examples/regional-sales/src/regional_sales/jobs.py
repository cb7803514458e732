"""The jobs. Each returns its result, which the workflow passes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TypedDict

from pydantic import Field

from nightferry import JobSettings, Run, background_task, get_logger, storage

log = get_logger(__name__)


class FileSettings(JobSettings):
    """A file of sales."""

    s3_uri: str = Field(description="Location of the CSV file")


class RegionSettings(FileSettings):
    """Sum the sales of one region."""

    region: str = Field(description="Name of the region")


class Regions(TypedDict):
    """The regions that have sales."""

    regions: list[str]
    count: int


@background_task("find-regions", FileSettings)
def find_regions(settings: FileSettings, run: Run) -> Regions:
    """Return the regions of a file."""
    regions = sorted({row["region"] for row in _read_rows(settings)})
    return {"regions": regions, "count": len(regions)}


@background_task("sum-region", RegionSettings)
def sum_region(settings: RegionSettings, run: Run) -> None:
    """Log the sum of a region."""
    total = sum(int(row["amount"]) for row in _read_rows(settings) if row["region"] == settings.region)
    log.info("%s: %d", settings.region, total)


def _read_rows(settings: FileSettings) -> Iterator[dict[str, str]]:
    with storage.open_read(settings.s3_uri) as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)
