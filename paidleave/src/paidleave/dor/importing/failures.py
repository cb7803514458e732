"""Error messages of failed imports: the consequence for the file and the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from nightferry import JobFailed, NightferryError
from paidleave.db.driver_errors import describe_error


@contextmanager
def wrap_errors(consequence: str) -> Iterator[None]:
    """Convert errors of the block to JobFailed, with the ``consequence`` for the file before the cause."""
    try:
        yield
    except NightferryError as error:
        cause = str(error)
    except psycopg.Error as error:
        cause = f"database error: {describe_error(error)}"
    except OSError as error:
        cause = f"{type(error).__name__}: {error.strerror}"
    else:
        return
    raise JobFailed(f"{consequence}: {cause}")
