"""What keeps one file of the vendor's from being used."""

from __future__ import annotations

from nightferry.errors import NightferryError


class RefusedFile(NightferryError):
    """Nothing of this file is used; the message says why, without anything that stands in it."""
