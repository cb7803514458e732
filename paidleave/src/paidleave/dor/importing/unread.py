"""Files in a folder for received files that no job will read, with the reason and the expected name.

Such a file waits unnoticed, because a job that finds no file of its kind succeeds.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nightferry import get_logger, storage
from paidleave.dor.files.formats import DOR_LAYOUTS, RETURNING_CSV, Layout

log = get_logger(__name__)

MAX_LISTED = 20
"""Maximum number of files that are listed; the others are counted."""

_UNFINISHED = re.compile(r"(\.(part|partial|filepart|tmp|temp|crdownload|upload|uploading|incomplete|swp)|~)$", re.I)
_ENDING = re.compile(r"(\.[^.\s]{1,10})+$")
_SIMILAR = 0.7  # share of equal letters from which a name resembles that of a kind


@dataclass(frozen=True)
class UnreadFile:
    """A file that no job will read, and the reason."""

    name: str
    reason: str

    def __str__(self) -> str:
        name = self.name if self.name.isprintable() else ascii(self.name)
        return f"{name} ({self.reason})"


def get_layouts(folder_layouts: Sequence[Layout]) -> tuple[Layout, ...]:
    """Return all layouts of the folder that contains files of ``folder_layouts``."""
    return (RETURNING_CSV,) if RETURNING_CSV in folder_layouts else DOR_LAYOUTS


def find_unread_files(folder: str, layouts: Sequence[Layout]) -> list[UnreadFile]:
    """Return the files in ``folder``, and in folders below it, whose names match none of ``layouts``."""
    names = {found.name for found in storage.walk(folder)}
    links = _find_links(folder)
    reasons = {name: find_reason(name, layouts) for name in names} | dict.fromkeys(links, "a link")
    return [UnreadFile(name, reason) for name, reason in sorted(reasons.items()) if reason]


def find_reason(name: str, layouts: Sequence[Layout]) -> str:
    """Return why no job reads a file with this name; an empty string if a job of the folder reads it."""
    if any(layout.matches(name) for layout in layouts):
        return ""
    folder, _, name = name.rpartition("/")
    if folder:
        return "in a folder below the folder that the job reads"
    other = [layout for layout in (*DOR_LAYOUTS, RETURNING_CSV) if layout not in layouts and layout.matches(name)]
    if other:
        return f"in the wrong folder: {other[0].name}"
    kind = _find_nearest(name, layouts)
    if kind is None:
        expected = " or ".join(layout.pattern for layout in layouts)
        return f"unknown kind of file; expected {expected}"
    return f"{', '.join(_find_differences(name, kind)) or 'another name'}; expected {kind.pattern}"


def log_unread_files(folder: str, layouts: Sequence[Layout]) -> None:
    """Log a warning for each file in ``folder`` that no job will read."""
    try:
        files = find_unread_files(folder, layouts)
    except storage.StorageError as error:  # The import itself succeeded.
        log.warning("cannot check the folder for files that no job reads: %s", str(error))
        return
    for file in files[:MAX_LISTED]:
        log.warning("a file in the folder is not read by any job: %s", str(file), extra={"file": file.name})
    if len(files) > MAX_LISTED:
        log.warning("%d other files in the folder are not read by any job", len(files) - MAX_LISTED)


def _find_nearest(name: str, layouts: Sequence[Layout]) -> Layout | None:
    plain = name.strip().casefold()
    begins = [layout for layout in layouts if plain.startswith(layout.prefix.casefold())]
    if begins:
        return max(begins, key=lambda layout: len(layout.prefix))
    prefixes = {layout.prefix.casefold(): layout for layout in layouts}
    letters = re.match(r"[^0-9.]*", plain)
    similar = difflib.get_close_matches(letters[0] if letters else "", list(prefixes), n=1, cutoff=_SIMILAR)
    return prefixes[similar[0]] if similar else None


def _find_differences(name: str, kind: Layout) -> list[str]:
    found = []
    if re.search(r"\s", name):
        found.append("white space")
    plain = re.sub(r"\s", "", name)
    if unfinished := _UNFINISHED.search(plain):
        found.append(f"unfinished upload '{unfinished[0]}'")
        plain = plain[: unfinished.start()]
    elif (ending := _ENDING.search(plain)) and not kind.pattern.casefold().endswith(ending[0].casefold()):
        found.append(f"another ending '{ending[0]}'")
        plain = plain[: ending.start()]
    if not plain.startswith(kind.prefix):
        found.append("wrong case" if plain.casefold().startswith(kind.prefix.casefold()) else "another spelling")
    rest = plain[len(kind.prefix) :]
    if kind in DOR_LAYOUTS and "another spelling" not in found and not (rest.isascii() and rest.isdigit()):
        found.append("a time that does not consist of digits only" if rest else "no time")
    elif not found and kind is RETURNING_CSV:
        found.append("wrong case" if plain.casefold().endswith(".csv") else "no ending")
    return found


def _find_links(folder: str) -> list[str]:
    location = storage.parse(folder)
    if not isinstance(location, Path) or not location.is_dir():
        return []
    with os.scandir(location) as entries:
        return [entry.name for entry in entries if entry.is_symlink()]
