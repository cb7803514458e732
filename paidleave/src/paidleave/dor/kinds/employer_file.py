"""The rules of an employer file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

import polars as pl
import psycopg

from nightferry import NightferryError
from paidleave.dor.files import reader
from paidleave.dor.files.batch import Batch
from paidleave.dor.files.formats import EMPLOYER, EMPLOYER_FILE
from paidleave.dor.files.identities import check_fein
from paidleave.dor.files.screening import Check, Screened, check_change_time, screen
from paidleave.dor.importing.file_kind import EMPLOYERS, FileKind
from paidleave.dor.importing.steps import LATER_IMPORTS, Steps

_DOMESTIC_COUNTRY = "USA"
_BUSINESS = "Business"


class LookupsMissing(NightferryError):
    """The lookup tables of states, countries or address types are empty. Run ``db-migrate-up``, then try again."""


class EmployerFile:
    """The rules of one employer file."""

    staging = ("employers/10_create_staging",)

    def __init__(self, lookups: psycopg.Connection[Any], latest_change: datetime) -> None:
        self._latest_change = latest_change
        self._states = _read_ids(lookups, "SELECT geo_state_description, geo_state_id FROM lk_geo_state")
        self._countries = _read_ids(lookups, "SELECT country_description, country_id FROM lk_country")
        address_types = _read_ids(lookups, "SELECT address_description, address_type_id FROM lk_address_type")
        if not (self._states and self._countries and _BUSINESS in address_types):
            raise LookupsMissing("the lookup tables are empty. Run db-migrate-up, then start the import again.")
        self._business = address_types[_BUSINESS]

    def screen(self, batch: Batch) -> Screened:
        """Check the state, the FEIN and the change time; accept unknown countries, which are stored as NULL."""
        is_domestic = (pl.col("address_country") == _DOMESTIC_COUNTRY).fill_null(False)
        state = pl.col("address_state")
        accepted, rejects = screen(
            batch.records[EMPLOYER.name],
            EMPLOYER,
            [
                Check(
                    "address_state", "not a US state", is_domestic & ~state.is_in(list(self._states)).fill_null(False)
                ),
                *check_fein("fein"),
                check_change_time(self._latest_change),
            ],
        )
        staged = accepted.select(
            "line_number",
            "family_exemption",
            "medical_exemption",
            "exemption_commence_date",
            "exemption_cease_date",
            "updated_date",
            pl.when(is_domestic).then(_look_up(state, self._states)).alias("geo_state_id"),
            _look_up(pl.col("address_country"), self._countries).alias("country_id"),
            "fein",
            "account_key",
            "employer_name",
            "employer_dba",
            "address_street",
            "address_city",
            "address_zip",
            pl.when(~is_domestic).then(state).alias("geo_state_text"),
        )
        return Screened({"staged_employer": staged}, rejects)

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        """Write the staged rows and return the counts for the report; ``staged`` is the number of rows by table.

        No references have to be locked: new rows only reference each other, updated employers and lookup rows, which
        are never deleted.
        """
        steps.run(LATER_IMPORTS)
        steps.run("employers/20_classify")
        steps.analyze("employer_line")
        counts = steps.select_counts("employers/30_count")
        counts["duplicate_employers_count"] = staged["staged_employer"] - sum(counts.values())
        steps.run("employers/40_queue_updates")
        steps.run("employers/41_update_employers")
        steps.run("employers/42_update_addresses")
        steps.run("employers/50_create_employers")
        steps.run("employers/51_create_addresses", business_address_type_id=self._business)
        steps.run("employers/52_link_addresses")
        steps.run("employers/53_queue_new_employers")
        return counts


def _read_ids(connection: psycopg.Connection[Any], query: str) -> dict[str, int]:
    return dict(connection.execute(query.encode()).fetchall())


def _look_up(codes: pl.Expr, ids: dict[str, int]) -> pl.Expr:
    return codes.replace_strict(list(ids), list(ids.values()), default=None, return_dtype=pl.Int32)


EMPLOYER_KIND = FileKind(
    EMPLOYER_FILE,
    name="dor-employer-file",
    subjects=(EMPLOYERS,),
    source="DOR",
    import_type="Initial",
    report={"employer_file": True, "employee_file": False},
    read=partial(reader.read, layout=EMPLOYER_FILE),
    rules=lambda lookups, file: EmployerFile(lookups, file.latest_change),
)
