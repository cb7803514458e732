"""Splitting SQL, held against what PostgreSQL itself takes for one statement; and showing a place in it."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.local.services.postgres import Postgres
from nightferry.testing.tiers import examples
from paidleave.operations.sql_text import NotSql, place, split

# Complete pieces in which semicolons, quotes and comment signs mean nothing or something.
_PIECES = st.sampled_from(
    [
        *("'a;b'", "'it''s;'", "E'it\\'s;'", "$$ ; $$", "$x$ $$ ; $x$", "U&'d\\0061t;'", "B'1'", "'\\'", "'é😀;'"),
        *(
            "/* ; */",
            "/* /* ; */ ; */",
            "-- ;\n",
            "-- '\n",
            '"a;b"',
            '"a""b;"',
            "1",
            "1.5e3",
            "\n",
            "\t",
            "a",
            "::text",
        ),
        *("/**/", "||", "->>", "( ", " )", ",", "'a'\n'b;'", "*", "$1", "é"),
    ]
)
_STATEMENTS = st.lists(st.lists(_PIECES, max_size=6).map(" ".join), min_size=1, max_size=4)


@given(_STATEMENTS)
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_piece_is_one_statement_to_postgresql(postgres_server: Postgres, parts: list[str]) -> None:
    """The extended protocol refuses two statements with an error of its own; other errors don't matter here."""
    text = ";".join(f"SELECT {part} " for part in parts)
    statements = split(text)
    assert len(statements) == len(parts)
    assert [text[s.start :].startswith(s.text) for s in statements] == [True] * len(parts)
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection:
        for statement in statements:
            result = connection.pgconn.prepare(b"", statement.text.encode())
            assert b"cannot insert multiple commands" not in result.error_message
            assert b"unterminated" not in result.error_message


@pytest.mark.parametrize("text", ["SELECT 'a", 'SELECT "a', "SELECT /* a", "SELECT $x$ a $$", "SELECT E'a\\'"])
def test_a_text_that_ends_too_early_is_no_sql(text: str) -> None:
    with pytest.raises(NotSql):
        split(text)


@pytest.mark.parametrize("text", ["", " ; ;\n;", "-- nothing", "/* nothing ; */ ;"])
def test_nothing_is_no_statement(text: str) -> None:
    assert split(text) == []


def test_a_place_is_shown_without_literals_and_comments() -> None:
    text = "SELECT 1;\nSELECT 'Ada Lovelace', 123456789, first_nam /* Ada */ -- Ada\nFROM employee"
    assert place(text, text.index("first_nam")) == (
        "line 2, column 35:\nSELECT ··············, ·········, first_nam ·· ··· ·· ·· ···\n" + " " * 34 + "^"
    )


def test_a_place_in_a_long_line() -> None:
    text = "SELECT " + ", ".join(f"column_{n}" for n in range(100))
    words, line, caret = place(text, text.index("column_77")).split("\n")
    assert words == f"line 1, column {text.index('column_77') + 1}:"
    assert len(line) <= 80
    assert line[caret.index("^") :].startswith("column_77")


@given(st.text(alphabet=";'\"$-/*\\ aE\n1", max_size=40), st.integers(0, 50))
@settings(deadline=None)
def test_any_text_has_a_place(text: str, position: int) -> None:
    assert place(text, position).startswith("line ")
