"""The page *After the database was restored*: its steps bring the database and FINEOS back into step."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from nightferry.local.services.postgres import find_psql
from tests.etl.demo import EMPLOYERS, FirstDemoRun
from tests.etl.world import ROOT, SECOND_DAY, WORKFLOW, World, copy_with_owner

PAGE = (ROOT / "docs/after-a-restore.md").read_text(encoding="utf-8")
IDS = """
    SELECT employer_fein, employer_id::text FROM employer
    UNION ALL
    SELECT tax_identifier, employee_id::text FROM employee JOIN tax_identifier USING (tax_identifier_id)
    ORDER BY 1, 2"""


def copy_ids(old: str, new: str) -> None:
    """Run the commands of the page."""
    found = re.search(r"```sh\n(copy\(\).+?)```", PAGE, re.DOTALL)
    assert found is not None
    psql = Path(find_psql() or "psql")
    environment = {**os.environ, "PATH": f"{psql.parent}:{os.environ['PATH']}", "OLD": old, "NEW": new}
    subprocess.run(["bash", "-euo", "pipefail", "-c", found[1]], env=environment, check=True, capture_output=True)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_the_steps_of_the_page_bring_files_database_and_fineos_into_step(
    first_demo_run: FirstDemoRun, tmp_path: Path
) -> None:
    world = first_demo_run.world(tmp_path / "old")
    restored: World | None = None
    try:
        world.stop()
        copy_with_owner(world.postgres.data, backup := tmp_path / "T")
        world.generate_second_day(EMPLOYERS + 6)
        world.nightferry("start", WORKFLOW)
        tables = world.tables()
        world.stop()
        restored = world.copy(tmp_path / "restored")
        shutil.rmtree(restored.postgres.data)
        copy_with_owner(backup, restored.postgres.data)

        world.postgres.start()
        with restored.services():
            copy_ids(world.postgres.conninfo("pfml"), restored.postgres.conninfo("pfml"))
        folder = restored.state / "buckets/agency-transfer/dor"
        for name in (f"DORDFMLEMP_{SECOND_DAY}", f"DORDFML_{SECOND_DAY}"):
            (folder / "processed" / name).rename(folder / "received" / name)
        restored.nightferry("start", WORKFLOW)

        assert restored.tables() == tables
        restored.postgres.start()
        assert read_ids(restored) == read_ids(world)
    finally:
        world.remove()
        if restored is not None:
            restored.remove()


def read_ids(world: World) -> Counter[tuple[str, str]]:
    with psycopg.connect(world.postgres.conninfo("pfml")) as connection:
        return Counter(connection.execute(IDS).fetchall())
