"""The page of execute-sql lists the columns that a query may use without the permission for personal data."""

from __future__ import annotations

import re

from paidleave.db.impersonal import IMPERSONAL_COLUMNS
from paidleave.db.lookups import LOOKUPS
from tests.documents.repository import ROOT

PAGE = (ROOT / "paidleave" / "docs" / "operations.md").read_text(encoding="utf-8")
TIMES = {"created_at", "updated_at"}  # the sentence above the table has them


def test_the_page_has_each_column_without_personal_data() -> None:
    section = PAGE.partition("### Columns without personal data")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    documented = {table: set(re.findall(r"`(\w+)`", columns)) for table, columns in rows}
    lookups = {lookup.table for lookup in LOOKUPS}
    assert all(table.startswith("lk_") for table in lookups)
    assert documented == {
        table: set(columns) - TIMES for table, columns in IMPERSONAL_COLUMNS.items() if table not in lookups
    }
