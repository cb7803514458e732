"""Files of another account, for tests of ownership as root and as an ordinary user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

OTHER = 54321  # a user ID that this machine does not have


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``path`` belong to another account.

    Only root can change an owner. Otherwise this process pretends to be another account, so that the path, and
    everything else that the test created, belongs to the old one.
    """
    if os.geteuid() == 0:
        os.chown(path, OTHER, OTHER, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: OTHER)
