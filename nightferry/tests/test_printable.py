"""A printable text controls no terminal, looks as it reads, and has the same value in JSON."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightferry.printable import indent_continuation, make_one_line, make_printable

ANY = st.text(st.characters(exclude_categories=[]))  # also lone surrogates


@given(ANY)
def test_no_character_controls_anything(text: str) -> None:
    for shown in (make_printable(text), make_one_line(text)):
        categories = {unicodedata.category(character) for character in shown if character not in "\n\t"}
        assert not categories & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        shown.encode()
    assert "\n" not in make_one_line(text)
    assert make_printable(make_printable(text)) == make_printable(text)


@given(ANY)
def test_a_line_of_json_has_the_same_value(text: str) -> None:
    line = json.dumps({"text": text, text: 1}, ensure_ascii=False)
    assert json.loads(make_printable(line)) == json.loads(line)


@pytest.mark.parametrize("text", ["a b", "naïve 東京 ñ", "a\tb\nc", "DOR → FINEOS ✓ …", "e\u0301", "\U0001f600"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert make_printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;pwned\x07", "\\u001b]0;pwned\\u0007"),
        ("a\rb\x9b", "a\\u000db\\u009b"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("a\u200bb\ufeff\u3164", "a\\u200bb\\ufeff\\u3164"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("\udc80", "\\udc80"),
    ],
)
def test_the_escape_sequence_of_json_is_shown(text: str, shown: str) -> None:
    assert make_printable(text) == shown


def test_a_further_line_cannot_look_like_an_own_line() -> None:
    assert indent_continuation("\na\nb\n\nc\n  d") == "\na\n  b\n\n  c\n  d"
