"""The files that DOR has sent and that wait to be imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longshore import storage
from paidleave.dor.formats import Layout


@dataclass(frozen=True)
class ReceivedFile:
    """One complete file in the folder ``received``; its neighbours are the folders for what becomes of it."""

    folder: str
    name: str
    layout: Layout

    @property
    def uri(self) -> str:
        return storage.join(self.folder, self.name)

    @property
    def processed_uri(self) -> str:
        """Where the file goes once it is imported."""
        return storage.join(_parent(self.folder), "processed", self.name)

    @property
    def rejected_uri(self) -> str:
        """Where its rejected lines go."""
        return storage.join(_parent(self.folder), "rejected", f"{self.name}.rej")


def find(folder: str, layouts: Sequence[Layout]) -> list[ReceivedFile]:
    """The files of ``layouts`` in ``folder``, layout by layout, each in the order of their names.

    Names must match as a whole: ``….part`` or ``….tmp`` is an upload under way.
    """
    names = sorted(found.name for found in storage.list_objects(folder))
    return [ReceivedFile(folder, name, layout) for layout in layouts for name in names if layout.matches(name)]


def _parent(folder: str) -> str:
    return folder.rstrip("/").rpartition("/")[0]
