"""The messages of PostgreSQL that contain no values of rows.

This is the only rule for the text of a database error: log lines, reports and the messages of jobs use it. The
server's primary message is shown if its SQLSTATE belongs to a class whose messages name only objects of the database
(tables, columns, constraints, roles), settings and files. Classes that quote values, such as ``22`` (data exceptions),
are not in the list. A function or a trigger can raise any text with any SQLSTATE, so their messages are withheld too.
``DETAIL``, ``HINT``, ``CONTEXT`` and the query are never shown.

Source: PostgreSQL, Appendix A "PostgreSQL Error Codes".
"""

from __future__ import annotations

from typing import Any

_CLASSES_WITHOUT_VALUES = frozenset(
    {
        "03",  # SQL statement not yet complete
        "08",  # connection exception
        "0A",  # feature not supported
        "0B",  # invalid transaction initiation
        "23",  # integrity constraint violation: the values are in DETAIL
        "24",  # invalid cursor state
        "25",  # invalid transaction state
        "26",  # invalid SQL statement name
        "28",  # invalid authorization specification
        "2D",  # invalid transaction termination
        "34",  # invalid cursor name
        "3B",  # savepoint exception
        "3D",  # invalid catalog name
        "3F",  # invalid schema name
        "40",  # transaction rollback
        "42",  # syntax error or access rule violation: quotes the statement
        "53",  # insufficient resources
        "54",  # program limit exceeded
        "55",  # object not in prerequisite state
        "57",  # operator intervention
        "58",  # system error
    }
)
# The source files of the server that raise the errors of functions and triggers in PL/pgSQL, Python, Perl and Tcl.
_SOURCES_OF_FUNCTIONS = frozenset({"pl_exec.c", "plpy_elog.c", "plpy_plpymodule.c", "plperl.c", "pltcl.c"})


def get_database_message(error: Any) -> str | None:
    """Return the message of a ``psycopg.Error`` in one line if it contains no values of rows, otherwise None."""
    if error.sqlstate is None:
        # The message of a failed connection is that of the client library. It contains the host, the database and the
        # user. The library's other messages quote the values that it cannot convert.
        names = {kind.__name__ for kind in type(error).__mro__}
        return " ".join(str(error).split()) or None if "OperationalError" in names else None
    source = (error.diag.source_file or "").rpartition("/")[2]
    if error.sqlstate[:2] not in _CLASSES_WITHOUT_VALUES or source in _SOURCES_OF_FUNCTIONS:
        return None
    return " ".join((error.diag.message_primary or "").split()) or None
