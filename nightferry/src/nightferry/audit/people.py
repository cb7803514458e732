"""The person who acts on this machine."""

from __future__ import annotations

import getpass


def get_user() -> str:
    """Return the name of the operating system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
