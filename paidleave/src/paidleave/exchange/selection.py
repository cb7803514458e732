"""Selection of the objects to copy, and the target of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nightferry import storage
from nightferry.storage import HIDDEN_PREFIX, Storage, StoredObject, parse
from paidleave.exchange.file_names import find_timestamp, strip_timestamp
from paidleave.exchange.settings import BucketToolSettings


@dataclass(frozen=True)
class SelectedObject:
    """An object to copy: ``name`` is its path below TO_PATH and ARCHIVE_PATH, ``problem`` the reason to refuse it."""

    source: StoredObject
    name: str
    target: str = ""
    problem: str = ""


def select_objects(settings: BucketToolSettings, origin: Storage) -> Iterator[SelectedObject]:
    """Yield the objects that match the settings."""
    assert settings.from_path is not None  # the settings are validated
    if single := _find_single_object(settings.from_path, origin):
        yield SelectedObject(single, single.name, _resolve_single_target(settings, single))
        return
    objects = origin.walk(settings.from_path) if settings.recursive else origin.list_objects(settings.from_path)
    for found in objects:
        if not _has_wanted_prefix(found.name, settings.prefixes):
            continue
        if problem := find_name_problem(found.name):
            yield SelectedObject(found, found.name, problem=problem)
            continue
        name = found.name
        if settings.dated_folders and "/" not in name:  # The vendor's own folders are kept.
            name = f"{find_timestamp(name, found.modified)}/{name}"
        target = "" if settings.to_path is None else storage.join(settings.to_path, *name.split("/"))
        yield SelectedObject(found, name, target)


def find_name_problem(name: str) -> str:
    """Return the reason to refuse an object with this name, or an empty string.

    An S3 key can be any text. Used as a path, it must stay within its folder, and two keys must not map to one path.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "its name has an empty part, '.' or '..', which could point outside the folder"
    if any(part.startswith(HIDDEN_PREFIX) for part in parts):
        return f"its name starts with '{HIDDEN_PREFIX}', which is reserved for unfinished files"
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in name):
        return "its name contains control characters or surrogates"
    return ""


def _find_single_object(uri: str, origin: Storage) -> StoredObject | None:
    """Return the object at ``uri``, or None if ``uri`` is a folder."""
    if uri.endswith("/") or not storage.name(uri) or not (found := origin.describe(uri)):
        return None
    return StoredObject(storage.name(uri), uri, found.size, found.version, found.modified)


def _resolve_single_target(settings: BucketToolSettings, single: StoredObject) -> str:
    if settings.to_path is None:
        return ""
    location = parse(settings.to_path)
    if settings.to_path.endswith("/") or (isinstance(location, Path) and location.is_dir()):
        return storage.join(settings.to_path, single.name)
    return settings.to_path


def _has_wanted_prefix(name: str, prefixes: tuple[str, ...]) -> bool:
    last = name.rpartition("/")[2]
    return not prefixes or last.startswith(prefixes) or strip_timestamp(name).startswith(prefixes)
