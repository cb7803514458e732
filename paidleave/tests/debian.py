"""A PostgreSQL server of Debian's package, which has the extensions of the API's database, if it is installed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from nightferry.local.services import postgres


@contextmanager
def debian_server() -> Iterator[postgres.Postgres]:
    """Run the newest installed server; skip the test if Debian's package ``postgresql`` is not installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not installed:
        pytest.skip("Debian's package postgresql is not installed")
    directory = Path(tempfile.mkdtemp(prefix="nightferry-test-"))
    directory.chmod(0o711)
    with (
        patch.object(postgres, "_find_binaries", lambda: installed[-1]),
        patch.object(postgres, "_CLIENTS", "local all all trust\n"),  # the word "all" in maps is new in version 16
    ):
        server = postgres.Postgres(directory / "pg", settings={"fsync": "off", "temp_file_limit": "4GB"})
        server.start()
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(directory, ignore_errors=True)
