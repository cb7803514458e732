"""The time of redaction is linear in the length of any text, however hard it is for a pattern."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator

import pytest

from nightferry.contract import Privacy
from nightferry.field_names import names
from nightferry.job.redaction import Redactor, characters, numbers, pairs, secrets
from nightferry.job.redaction.redactor import MAX_CHARACTERS
from nightferry.lambdas import chat_notice, failure_notice
from tests.job.slow_patterns import CHARACTERS, find_growth, find_slow

MODULES = [characters, names, numbers, pairs, sys.modules[Redactor.__module__], secrets, chat_notice, failure_notice]


def find_patterns(value: object) -> Iterator[re.Pattern[str]]:
    match value:
        case re.Pattern() if isinstance(value.pattern, str):
            yield value
        case dict():
            yield from find_patterns(list(value.values()))
        case list() | tuple():
            for item in value:
                yield from find_patterns(item)


# _UNQUOTED is only used at the end of a key, where a text cannot make it start at each of its characters.
PATTERNS = sorted(
    {
        f"{module.__name__.rpartition('.')[2]}.{name} {number}": pattern
        for module in MODULES
        for name, value in vars(module).items()
        if name != "_UNQUOTED"
        for number, pattern in enumerate(find_patterns(value))
    }.items()
)

# Each was or is hard for one of the patterns: a beginning, a part that is repeated, and an end.
HARD = [
    ("name:", " ", ""),
    ("name: x", " ", ""),
    ("name: x", " ", "!"),
    ("password=x", " \t", "\n"),
    ("name", " ", ""),
    ("", "name: ", ""),
    ("", "name: a ", ""),
    ("", "name ", ":"),
    ("", "a ", ":"),
    ("", "-a", "="),
    ("", "name='", ""),
    ("", "name=[", ""),
    ("", "name=(a,", ")"),
    ("", '"', ":"),
    ("name=\\", "\\", '"'),
    ("", "eyJ-", ""),
    ("eyJabcde.", "-", "."),
    ("", "Bearer ", ""),
    ("", "://", "@"),
    ("", "://a:b", "@"),
    ("https://", "hook/", "\0"),
    ("", "https://a/", ""),
    ("", "-----BEGIN A", ""),
    ("", "-----BEGIN A-----", ""),
    ("", "-----END A", ""),
    ("", "-", ""),
    ("", "--a ", ""),
    ("", "<a ", ">"),
    ("", "<name>", ""),
    ("", "a@", ""),
    ("a@", "b.", ""),
    ("a@", "b", ""),
    ("", '"a', '"@b'),
    ("", "1", "x"),
    ("", "1 ", "x"),
    ("1", " ", "1"),
    ("", "1" + " " * 40, "x"),
    ("", "123-45-", "6"),
    ("", "1.", "x"),
    ("", "1a", "x"),
    ("", "f1", "g"),
    ("", "arn:", ""),
    ("", "\\u0031", ""),
    ("", "%E2%80%93", ""),
    ("", "\u200b", "1"),
    ("", "１\u200b", "x"),
    ("", "/a", "/name: x"),
    ("", "_1", "x: y"),
    ("", "HINT:", ""),
    ("", "   ", "DETAIL: "),
    ("", "Aa1/", "!"),
]


@pytest.mark.parametrize("privacy", Privacy)
def test_hard_texts_take_linear_time(privacy: Privacy) -> None:
    hard = Redactor(privacy)
    slow = []
    for first, repeated, last in HARD:

        def make(characters: int, parts: tuple[str, str, str] = (first, repeated, last)) -> str:
            return parts[0] + parts[1] * (characters // len(parts[1])) + parts[2]

        if (growth := find_growth(hard.redact_text, make)) is not None:
            slow.append((first, repeated, last, growth))
    assert slow == []


def test_many_blanks_after_a_key_take_milliseconds() -> None:
    started = time.process_time()
    Redactor(Privacy.STRICT).redact_text("name: x" + " " * 30_000)
    assert time.process_time() - started < 1  # it was 6.6 s


def test_the_length_of_a_text_is_bounded() -> None:
    shown = Redactor(Privacy.STRICT).redact_text("a b " * 1_000_000 + "123456789")
    assert len(shown) < MAX_CHARACTERS + 100
    assert re.search(r" … \(3,7\d\d,\d{3} more characters\)$", shown)


@pytest.mark.long
@pytest.mark.parametrize(("name", "pattern"), PATTERNS, ids=[name for name, _ in PATTERNS])
def test_each_pattern_takes_linear_time(name: str, pattern: re.Pattern[str]) -> None:
    assert find_slow(lambda text: pattern.sub("", text), [pattern]) == []


@pytest.mark.long
def test_the_search_finds_a_quadratic_pattern() -> None:
    assert CHARACTERS >= 1000
    assert find_slow(re.compile(r"\w+@").search, [re.compile(r"\w+@")])
