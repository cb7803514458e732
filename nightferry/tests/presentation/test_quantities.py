"""Numbers with their noun, and identifiers that redaction leaves on a page."""

from __future__ import annotations

import re

import pytest

from nightferry.contract import Privacy
from nightferry.job.redaction import Redactor
from nightferry.presentation.letter_ids import digest_to_letters, make_letter_id
from nightferry.presentation.quantities import format_quantity


@pytest.mark.parametrize(("number", "text"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1200, "1,200 runs")])
def test_a_noun_agrees_with_its_number(number: int, text: str) -> None:
    assert format_quantity(number, "run") == text


def test_redaction_leaves_identifiers_of_letters() -> None:
    found = [make_letter_id(16) for _ in range(50)] + [digest_to_letters(str(n), 32) for n in range(50)]
    assert len(set(found)) == len(found)
    for id in found:
        assert re.fullmatch("[a-z]{16,32}", id)
        assert Redactor(Privacy.STRICT).redact_text(id) == id


def test_a_digest_depends_on_its_text_only() -> None:
    assert digest_to_letters("a text \udc80", 16) == digest_to_letters("a text \udc80", 16)
    assert digest_to_letters("a text", 16) != digest_to_letters("another text", 16)
