"""What is known of a stored object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, order=True)
class StoredObject:
    """An object in a folder. ``version`` changes whenever the content is written anew; ``size`` is in bytes."""

    name: str
    uri: str
    size: int
    version: str
    modified: datetime
