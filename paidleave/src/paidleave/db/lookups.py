"""The rows of the lookup tables (``lk_*``), as the API defines them.

The ids are part of the interface, because other systems reference them. Rows may be added and their texts corrected,
but their ids must not change and rows must not be deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from psycopg import sql

_STATES = """
MA AL AS AZ AR CA CO CT DE DC FM FL GA GU HI ID IL IN IA KS KY LA ME MH MD MI MN MS MO MT NE NV NH NJ NM NY NC ND MP
OH OK OR PW PA PR RI SC SD TN TX UT VT VA VI WA WV WI WY AK
"""

# ISO 3166-1 alpha-3 as of 2010, in alphabetical order, ids from 2. ALA is last because it was added later. The standard
# withdrew ANT at the end of 2010; its successors BES, CUW and SXM were never added to the table, nor was SSD.
_COUNTRIES = """
ABW AFG AGO AIA ALB AND ANT ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE
BDI BEL BEN BFA BGD BGR BHR BHS BIH BLM BLR BLZ BMU BOL BRA BRB BRN BTN BVT BWA
CAF CAN CCK CHE CHL CHN CIV CMR COD COG COK COL COM CPV CRI CUB CXR CYM CYP CZE
DEU DJI DMA DNK DOM DZA
ECU EGY ERI ESH ESP EST ETH
FIN FJI FLK FRA FRO FSM
GAB GBR GEO GGY GHA GIB GIN GLP GMB GNB GNQ GRC GRD GRL GTM GUF GUM GUY
HKG HMD HND HRV HTI HUN
IDN IMN IND IOT IRL IRN IRQ ISL ISR ITA
JAM JEY JOR JPN
KAZ KEN KGZ KHM KIR KNA KOR KWT
LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA
MAC MAF MAR MCO MDA MDG MDV MEX MHL MKD MLI MLT MMR MNE MNG MNP MOZ MRT MSR MTQ MUS MWI MYS MYT
NAM NCL NER NFK NGA NIC NIU NLD NOR NPL NRU NZL
OMN
PAK PAN PCN PER PHL PLW PNG POL PRI PRK PRT PRY PSE PYF
QAT
REU ROU RUS RWA
SAU SDN SEN SGP SGS SHN SJM SLB SLE SLV SMR SOM SPM SRB STP SUR SVK SVN SWE SWZ SYC SYR
TCA TCD TGO THA TJK TKL TKM TLS TON TTO TUN TUR TUV TWN TZA
UGA UKR UMI URY USA UZB
VAT VCT VEN VGB VIR VNM VUT
WLF WSM
YEM
ZAF ZMB ZWE
ALA
"""


class UnknownLookupValue(KeyError):
    """No row of the lookup table has this description. See ``paidleave/db/lookups.py`` for the valid ones."""


@dataclass(frozen=True)
class Lookup:
    """A lookup table: its columns, the key first and the description second, and its rows in that order."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int | str, ...], ...] = ()

    def get_id(self, description: str) -> int:
        """Return the id of the row with this description, without a database query.

        Raises:
            UnknownLookupValue: No row has this description.
        """
        for row in self.rows:
            if row[1] == description:
                return int(row[0])
        raise UnknownLookupValue(f"Row '{description}' not found in {self.table}")


def _define_lookup(name: str, *descriptions: str) -> Lookup:
    return _define_numbered(name, enumerate(descriptions, start=1))


def _define_numbered(name: str, rows: Iterable[tuple[int, str]]) -> Lookup:
    return Lookup(f"lk_{name}", (f"{name}_id", f"{name}_description"), tuple(rows))


ADDRESS_TYPE = Lookup(
    "lk_address_type",
    ("address_type_id", "address_description"),
    ((1, "Home"), (2, "Business"), (3, "Mailing"), (4, "Residential")),
)
GENDER = Lookup(
    "lk_gender",
    ("gender_id", "gender_description", "fineos_gender_description"),
    (
        (1, "Woman", "Female"),
        (2, "Man", "Male"),
        (3, "Non-binary", "Neutral"),
        (4, "Gender not listed", "Unknown"),
        (5, "Prefer not to answer", "Not Provided"),
    ),
)
MARITAL_STATUS = _define_lookup("marital_status", "Single", "Married", "Divorced", "Widowed")
TITLE = _define_lookup("title", "Unknown", "Mr", "Mrs", "Miss", "Ms", "Dr", "Madam", "Sir")
OCCUPATION = _define_lookup("occupation", "Health Care", "Sales Clerk", "Administrative", "Engineer")
RACE = _define_lookup("race", "Black", "Hispanic", "White")
EDUCATION_LEVEL = _define_lookup("education_level")
GEO_STATE = _define_lookup("geo_state", *_STATES.split())
COUNTRY = _define_numbered("country", enumerate(_COUNTRIES.split(), start=2))
# Other jobs own the rows of these two tables. They are declared because employee and employer reference them.
PAYMENT_METHOD = _define_lookup("payment_method")
INDUSTRY_CODE = Lookup(
    "lk_industry_code", ("industry_code_id", "industry_code_description", "industry_code_naics_code")
)

LOOKUPS = (
    ADDRESS_TYPE,
    GENDER,
    MARITAL_STATUS,
    TITLE,
    OCCUPATION,
    RACE,
    EDUCATION_LEVEL,
    GEO_STATE,
    COUNTRY,
    PAYMENT_METHOD,
    INDUSTRY_CODE,
)


@dataclass(frozen=True)
class LookupChanges:
    """The numbers of lookup rows that were added and updated."""

    added: int = 0
    updated: int = 0


NO_CHANGES = LookupChanges()


def synchronize(connection: psycopg.Connection) -> LookupChanges:
    """Add missing rows and update changed ones, in the caller's transaction; do not touch unknown rows."""
    added = updated = 0
    with connection.cursor() as cursor:
        for lookup in LOOKUPS:
            if not lookup.rows:
                continue
            cursor.executemany(_build_upsert(lookup), lookup.rows, returning=True)
            while True:
                for (is_new,) in cursor.fetchall():
                    added += is_new
                    updated += not is_new
                if not cursor.nextset():
                    break
    return LookupChanges(added, updated)


def _build_upsert(lookup: Lookup) -> sql.Composed:
    """Return the statement that writes one row.

    The statement returns whether the row is new. It returns no row if the stored one is identical.
    """
    key, *texts = (sql.Identifier(column) for column in lookup.columns)
    stored = sql.Identifier(lookup.table)
    return sql.SQL(
        "INSERT INTO {stored} ({columns}) VALUES ({values}) ON CONFLICT ({key}) DO UPDATE SET {assignments} "
        "WHERE ({old}) IS DISTINCT FROM ({new}) RETURNING xmax = 0"
    ).format(
        stored=stored,
        columns=sql.SQL(", ").join([key, *texts]),
        values=sql.SQL(", ").join(sql.Placeholder() for _ in lookup.columns),
        key=key,
        assignments=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(text) for text in texts),
        old=sql.SQL(", ").join(sql.SQL("{}.{}").format(stored, text) for text in texts),
        new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(text) for text in texts),
    )
