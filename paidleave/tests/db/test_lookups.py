"""The rows of the lookup tables in the code and in the database."""

from __future__ import annotations

import psycopg
import pytest

from paidleave.db import lookups
from paidleave.db.lookups import COUNTRY, GENDER, GEO_STATE, LOOKUPS, UnknownLookupValue


def test_59_states_have_the_order_of_the_api() -> None:
    assert len(GEO_STATE.rows) == 59
    assert {name: GEO_STATE.get_id(name) for name in ("MA", "AL", "DC", "MP", "WY", "AK")} == {
        "MA": 1, "AL": 2, "DC": 10, "MP": 39, "WY": 58, "AK": 59,
    }  # fmt: skip


def test_246_countries_have_the_ids_of_the_api() -> None:
    ids = {str(description): number for number, description in COUNTRY.rows}
    assert len(ids) == 246
    assert sorted(ids.values()) == list(range(2, 248))
    assert ids["ABW"] == 2
    assert ids["USA"] == 232
    assert ids["ALA"] == 247
    assert not ids.keys() & {"BES", "CUW", "SSD", "SXM"}
    alphabetical = [country for country in ids if country != "ALA"]
    assert alphabetical == sorted(alphabetical)
    assert "ANT" in ids


def test_unknown_description_raises_an_error() -> None:
    with pytest.raises(UnknownLookupValue, match="Row 'XX' not found in lk_geo_state"):
        GEO_STATE.get_id("XX")


def test_migrated_database_contains_every_row(database: str) -> None:
    with psycopg.connect(database) as connection:
        for lookup in LOOKUPS:
            stored = connection.execute(f"SELECT {', '.join(lookup.columns)} FROM {lookup.table} ORDER BY 1").fetchall()
            assert stored == list(lookup.rows), lookup.table


def test_synchronization_adds_and_updates_but_never_deletes(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert lookups.synchronize(connection) == lookups.LookupChanges(added=0, updated=0)
        connection.execute("DELETE FROM lk_country WHERE country_id > 240")
        connection.execute("UPDATE lk_gender SET fineos_gender_description = NULL WHERE gender_id = 3")
        connection.execute("UPDATE lk_title SET title_description = 'Mister' WHERE title_id = 2")
        connection.execute("INSERT INTO lk_race VALUES (99, 'kept')")
        assert lookups.synchronize(connection) == lookups.LookupChanges(added=7, updated=2)
        assert connection.execute("SELECT * FROM lk_gender WHERE gender_id = 3").fetchone() == GENDER.rows[2]
        assert connection.execute("SELECT count(*) FROM lk_country").fetchone() == (246,)
        assert connection.execute("SELECT race_description FROM lk_race WHERE race_id = 99").fetchone() == ("kept",)
