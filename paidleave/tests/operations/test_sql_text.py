"""SQL is split into statements like PostgreSQL does, and positions in it are shown without literals."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.local.services.postgres import Postgres
from nightferry.testing.tiers import examples
from paidleave.operations.sql_text import IncompleteSql, format_position, split

# Complete tokens, some of them with semicolons, quotes and comment signs that have no meaning within the token.
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
    """Prepare each statement; PostgreSQL has a specific error for two statements, and the test ignores all others."""
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
def test_incomplete_sql_is_refused(text: str) -> None:
    with pytest.raises(IncompleteSql):
        split(text)


@pytest.mark.parametrize("text", ["", " ; ;\n;", "-- nothing", "/* nothing ; */ ;"])
def test_text_without_statements_is_empty(text: str) -> None:
    assert split(text) == []


def test_a_position_is_shown_without_literals_and_comments() -> None:
    text = "SELECT 1;\nSELECT 'Ada Lovelace', 123456789, first_nam /* Ada */ -- Ada\nFROM employee"
    assert format_position(text, text.index("first_nam")) == (
        "line 2, column 35:\nSELECT ··············, ·········, first_nam ·· ··· ·· ·· ···\n" + " " * 34 + "^"
    )


def test_a_position_in_a_long_line_is_shown_with_an_excerpt() -> None:
    text = "SELECT " + ", ".join(f"column_{n}" for n in range(100))
    words, line, caret = format_position(text, text.index("column_77")).split("\n")
    assert words == f"line 1, column {text.index('column_77') + 1}:"
    assert len(line) <= 80
    assert line[caret.index("^") :].startswith("column_77")


@given(st.text(alphabet=";'\"$-/*\\ aE\n1", max_size=40), st.integers(0, 50))
@settings(deadline=None)
def test_any_position_in_any_text_can_be_shown(text: str, position: int) -> None:
    assert format_position(text, position).startswith("line ")
