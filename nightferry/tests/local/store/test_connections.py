"""Several connections of one process, as in a dashboard's threads, keep the file safe from the end of others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nightferry.local.store import Store

OTHER = """
import sys
from pathlib import Path
from nightferry.local.store import Store
store = Store(Path(sys.argv[1]))
store.add_run(sys.argv[2], "hello", [], {})
store.close()
"""


def test_a_further_connection_keeps_the_locks_of_the_first(tmp_path: Path) -> None:
    """SQLite's locks belong to the process: closing any descriptor of the file releases them.

    Another process that then closes the file removes the log, although the first connection continues to use it.
    """
    file = tmp_path / "a folder" / "engine.sqlite"
    first, second = Store(file), Store(file)
    first.add_run("1", "hello", [], {})
    for id in ("2", "3"):
        subprocess.run([sys.executable, "-c", OTHER, str(file), id], check=True)
        assert file.with_name(f"{file.name}-wal").exists()
        assert second.find_known_runs([id]) == {id}
    third = Store.open_read_only(file)
    assert first.find_known_runs("123") == third.find_known_runs("123") == {"1", "2", "3"}
    for store in (first, second, third):
        store.close()
