"""Each intended difference from the old system has a reason that a new reader understands: one full sentence."""

from __future__ import annotations

import re

import pytest

from tests.documents.repository import ROOT

PAGE = ROOT / "paidleave" / "docs" / "differences.md"
FEWEST_WORDS = 6


def read_rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in rows if row[0] != "Old system" and row[0] != "Old key" and row[0] != "---"]


def find_fault(reason: str) -> str:
    if not (reason[0].isupper() or reason[0] in "`\"'") or not reason.endswith("."):
        return "has no capital letter or period"
    if len(reason.split()) < FEWEST_WORDS:
        return "is too short"
    return "is more than one sentence" if re.search(r"[.!?] [A-Z]", reason) else ""


def test_each_reason_is_one_full_sentence() -> None:
    rows = read_rows()
    assert len(rows) > 200
    assert all(len(row) == 3 for row in rows)
    assert [(row[2], fault) for row in rows if (fault := find_fault(row[2]))] == []


@pytest.mark.parametrize(
    "reason", ["Speed", "no data is lost by it.", "It is fast.", "Speed matters here a lot. It is fast."]
)
def test_other_reasons_are_found(reason: str) -> None:
    assert find_fault(reason)
