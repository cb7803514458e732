"""Removal of the stored results of tasks whose runs the store has removed. Nothing can read them any longer."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from nightferry.catalog.catalog import Catalog
from nightferry.local.store import Store

_RESULT = re.compile(r"([0-9a-f]{32})\.json")  # RUN.json; other files are not results
_BATCH = 500  # names that are looked up at once


def remove_results(store: Store, catalog: Catalog, get_bucket_folder: Callable[[str], Path]) -> int:
    """Remove the results of removed runs from the folder of the catalog's results, and return their number."""
    if catalog.results is None:
        return 0
    folder = get_bucket_folder(catalog.results.bucket) / catalog.results.path
    removed = 0
    for task in catalog.tasks:
        results = _find_results(folder / task)
        while batch := dict(islice(results, _BATCH)):
            for run in batch.keys() - store.find_known_runs(batch):
                batch[run].unlink(missing_ok=True)
                removed += 1
    return removed


def _find_results(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the runs of the results in the folder of a task. A folder or file behind a symbolic link is not one."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if (name := _RESULT.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                yield name[1], Path(entry.path)
