"""Reports have the keys of the old system, except those that the table in ``docs/differences.md`` lists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nightferry.job import new_relic
from paidleave.dor.generate import Population, WriteOptions
from tests.dor.importing.test_importer_report import put
from tests.dor.imports import DorWorld, run_in_process

PROJECT = Path(__file__).parents[3]
OLD = json.loads((PROJECT / "tests/facts/etl-report.json").read_text(encoding="utf-8"))
SECTION = (PROJECT / "docs/differences.md").read_text(encoding="utf-8").split("### Keys of the report")[1]
TABLE = re.findall(r"^\| (`.+?`) \| (.+?) \| .+ \|$", SECTION.split("\n## ")[0], re.MULTILINE)
CHANGED = {old: re.findall(r"`(\w+)`", new) for olds, new in TABLE for old in re.findall(r"`(\w+)`", olds)}
COLUMNS = {"start", "end", "status"}


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    return DorWorld(database, tmp_path / "dor")


def test_reports_of_daily_files_have_the_old_keys_or_those_of_the_table(world: DorWorld) -> None:
    put(world, Population(100), WriteOptions(bad_share=0.02))
    assert run_in_process(world) == 0
    reports = [json.loads(text) for (text,) in world.query("SELECT report FROM import_log")]
    keys = set().union(*reports)
    columns = {
        name
        for (name,) in world.query("SELECT column_name FROM information_schema.columns WHERE table_name = 'import_log'")
    }
    assert set(CHANGED) <= set(OLD["dor"])
    for old in OLD["dor"]:
        if old not in CHANGED:
            assert old in keys, f"{old} is missing in the table and in the reports"
        else:
            assert old not in keys, f"{old} is in the table, but it is in the reports"
            for new in CHANGED[old]:
                assert new in (columns if old in COLUMNS else keys), new


def test_a_file_without_bad_lines_has_the_counts_of_rejects(world: DorWorld) -> None:
    put(world, Population(1), WriteOptions())
    assert run_in_process(world) == 0
    employers, wages = world.reports()
    assert (employers["errored_employers_fein_count"], employers["invalid_employer_addresses_count"]) == (0, 0)
    assert (wages["skipped_wages_count"], wages["skipped_employer_quarterly_contribution"]) == (0, 0)
    assert "skipped_wages_count" not in employers


def test_the_key_of_events_has_its_old_name() -> None:
    assert f"``{OLD['key variable']}``" in (new_relic.__doc__ or "")
