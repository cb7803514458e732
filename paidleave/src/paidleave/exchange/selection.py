"""Which objects are taken, and where each goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nightferry import storage
from nightferry.storage import HIDDEN_PREFIX, Storage, StoredObject, parse
from paidleave.exchange.settings import BucketToolSettings
from paidleave.exchange.stamps import date_of, without_stamp


@dataclass(frozen=True)
class Chosen:
    """An object to work on. ``name`` is its path below TO_PATH and ARCHIVE_PATH; ``problem`` is why it is refused."""

    source: StoredObject
    name: str
    target: str = ""
    problem: str = ""


def choose(settings: BucketToolSettings, origin: Storage) -> Iterator[Chosen]:
    """The objects that the settings ask for."""
    assert settings.from_path is not None  # the settings see to it
    if one := _one(settings.from_path, origin):
        yield Chosen(one, one.name, _target_of_one(settings, one))
        return
    objects = origin.walk(settings.from_path) if settings.recursive else origin.list_objects(settings.from_path)
    for found in objects:
        if not _is_wanted(found.name, settings.prefixes):
            continue
        if problem := unusable(found.name):
            yield Chosen(found, found.name, problem=problem)
            continue
        name = f"{date_of(found.name, found.modified)}/{found.name}" if settings.dated_folders else found.name
        target = "" if settings.to_path is None else storage.join(settings.to_path, *name.split("/"))
        yield Chosen(found, name, target)


def unusable(name: str) -> str:
    """Why an object of this name is not taken; empty when it is.

    A key of S3 may be any text. As a path it must not lead out of its folder, and two keys must not become one path.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "its name has an empty part, '.' or '..', which could lead out of the folder"
    if any(part.startswith(HIDDEN_PREFIX) for part in parts):
        return f"its name begins with '{HIDDEN_PREFIX}', as only unfinished files do"
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in name):
        return "its name has characters that are no text"
    return ""


def _one(uri: str, origin: Storage) -> StoredObject | None:
    """The object itself, where the location is one and no folder."""
    if uri.endswith("/") or not storage.name(uri) or not (found := origin.describe(uri)):
        return None
    return StoredObject(storage.name(uri), uri, found.size, found.version, found.modified)


def _target_of_one(settings: BucketToolSettings, one: StoredObject) -> str:
    if settings.to_path is None:
        return ""
    location = parse(settings.to_path)
    if settings.to_path.endswith("/") or (isinstance(location, Path) and location.is_dir()):
        return storage.join(settings.to_path, one.name)
    return settings.to_path


def _is_wanted(name: str, prefixes: tuple[str, ...]) -> bool:
    last = name.rpartition("/")[2]
    return not prefixes or last.startswith(prefixes) or without_stamp(name).startswith(prefixes)
