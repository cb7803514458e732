"""Errors in one of the vendor's files."""

from __future__ import annotations

from nightferry import NightferryError


class RefusedFile(NightferryError):
    """A file that was refused as a whole. The message states the reason and quotes nothing from the file."""
