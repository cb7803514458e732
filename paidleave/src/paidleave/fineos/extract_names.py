"""Selection of FINEOS's files of one kind by the end of their names."""

from __future__ import annotations

from collections.abc import Iterable

from nightferry import get_logger
from nightferry.storage import StoredObject

log = get_logger(__name__)


def select_files(objects: Iterable[StoredObject], suffix: str) -> list[StoredObject]:
    """Return the objects whose names end with ``suffix``, such as ``-EmployeeDataLoad_feed.csv``.

    A name that differs only in case or in what follows, such as ``….CSV`` or ``….csv.part``, is not selected. A warning
    reports it, because otherwise the file would wait unnoticed.
    """
    stem = suffix.rpartition(".")[0].casefold()
    found = []
    for item in objects:
        if item.name.endswith(suffix):
            found.append(item)
        elif stem in item.name.casefold():
            log.warning("a file is not read by any job: %s; expected …%s", item.name, suffix)
    return found
