"""The diagrams of the documents are those that the code makes, and their texts and boxes do not overlap."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIAGRAMS = ROOT / "docs" / "diagrams"


def test_the_diagrams_are_made_from_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from tools.diagrams.all import make_all

    made = make_all()
    committed = {path.name: path.read_text(encoding="utf-8") for path in DIAGRAMS.glob("*.svg")}

    assert committed.keys() == made.keys()
    assert [name for name, text in made.items() if committed[name] != text] == [], "Write them with make diagrams."
