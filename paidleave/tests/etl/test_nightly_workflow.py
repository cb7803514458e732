"""The nightly workflow as a whole: line counts, logs without personal data, and kills at any time."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from nightferry.testing.tiers import LONG, SEED
from paidleave.dor import encryption
from tests.etl.demo import EMPLOYERS, FirstDemoRun
from tests.etl.world import CLIENT_SECRET, KEY, PASSPHRASE, WORKFLOW, World

KILLS = 8 if LONG else 1
KINDS = ("employers", "employer_quarters", "wages_and_contributions")
OUTCOMES = ("created", "updated", "unmodified", "duplicate", "rejected")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nightferry etl ") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def before_second_run(first_demo_run: FirstDemoRun, folder: Path) -> Iterator[World]:
    """A world after the first run, with the files of the second day received and the services stopped."""
    world = first_demo_run.world(folder / "base state")
    world.generate_second_day(EMPLOYERS, UPDATE="true", DUPLICATE_SHARE=0.01)
    world.stop()
    yield world
    world.remove()


@pytest.fixture(scope="module")
def undisturbed(
    before_second_run: World, folder: Path
) -> Iterator[tuple[World, dict[str, list[tuple[object, ...]]], float]]:
    """An undisturbed second run: its world, its tables and its duration."""
    world = before_second_run.copy(folder / "undisturbed")
    started = time.monotonic()
    world.nightferry("start", WORKFLOW)
    took = time.monotonic() - started
    yield world, world.tables(), took
    world.remove()


@pytest.mark.long  # the demo's tests run a night that is interrupted and resumed
@pytest.mark.timeout(0)
def test_a_night_is_complete_and_a_killed_one_has_the_same_result(
    before_second_run: World,
    undisturbed: tuple[World, dict[str, list[tuple[object, ...]]], float],
    folder: Path,
) -> None:
    """One test, because each worker that runs a part of it would run the undisturbed night."""
    world, tables, took = undisturbed
    check_that_every_line_is_counted(world)
    check_that_all_data_is_sent(tables)
    check_that_people_work_for_several_employers(tables)
    check_that_no_personal_data_is_left(world, tables)
    for number in range(KILLS):
        delay = random.Random(SEED + number).uniform(0.2, took)
        check_that_a_killed_night_has_the_same_result(
            before_second_run.copy(folder / f"killed {number}"), delay, tables
        )


def check_that_every_line_is_counted(world: World) -> None:
    with world.services(), psycopg.connect(world.postgres.conninfo("pfml")) as connection:
        reports = [
            json.loads(report)
            for (report,) in connection.execute(
                "SELECT report FROM import_log WHERE source = 'DOR' AND status = 'success'"
            )
        ]
        rejected = connection.execute("SELECT count(*) FROM dor_rejected_line").fetchone()
    assert len(reports) == 4
    kinds = 0
    for report in reports:
        for kind in KINDS:
            if f"{kind}_lines_count" in report:
                kinds += 1
                assert report[f"{kind}_lines_count"] == sum(report.get(f"{o}_{kind}_count", 0) for o in OUTCOMES)
        lines = sum(report.get(f"{kind}_lines_count", 0) for kind in KINDS) + report["rejected_unknown_lines_count"]
        assert report["lines_count"] == lines
    assert kinds == 6
    assert sum(report.get("logged_employees_for_new_employer", 0) for report in reports) > 0
    assert rejected == (sum(report["rejected_lines_count"] for report in reports),)


def check_that_all_data_is_sent(tables: dict[str, list[tuple[object, ...]]]) -> None:
    assert tables["employer queue"] == [(0,)]
    assert tables["employee queue"] == [(0,)]
    assert len(tables["employers"]) == EMPLOYERS
    assert all(row[9] for row in tables["employers"]), "an employer has no vendor id"
    assert tables["occupations"], "the vendor's own file was not imported"


def check_that_people_work_for_several_employers(tables: dict[str, list[tuple[object, ...]]]) -> None:
    """The killed nights of this module, and the demo, exercise the joins of such people."""
    jobs = Counter(person for _, person in {row[:2] for row in tables["wages"]})
    assert max(jobs.values()) >= 5
    assert 0.2 < sum(employers > 1 for employers in jobs.values()) / len(jobs) < 0.35


def check_that_no_personal_data_is_left(world: World, tables: dict[str, list[tuple[object, ...]]]) -> None:
    """The logs and the engine's state contain no personal data and no secrets."""
    secret = {
        value
        for row in (*tables["employees"], *((r[0], r[2], r[3]) for r in tables["employers"]))
        for value in row[:3]
        if isinstance(value, str) and len(value) >= 6
    }
    secret |= {world.secret(CLIENT_SECRET), world.secret(PASSPHRASE)}
    key = world.secret(KEY)
    public = encryption.export_public_key(SecretStr(key)).splitlines()  # dor-generate receives it as plain text.
    secret |= {line for line in key.splitlines() if len(line) > 40 and line not in public}
    kept = ("buckets", "secrets", "fineos.sqlite")  # Objects, secrets and the vendor's own data belong here.
    files = [f for f in world.state.rglob("*") if f.is_file() and not str(f.relative_to(world.state)).startswith(kept)]
    files += [world.postgres.log]
    content = b"\n".join(file.read_bytes() for file in files)
    assert b"file imported" in content, "the test searches the wrong files"
    text = content.decode("utf-8", errors="replace")
    words = set(re.findall(r"[\w'’.-]+(?: [\w'’.-]+)*", text))
    found = {value for value in secret if value in words or (any(c.isdigit() for c in value) and value in text)}
    assert found == set()


def check_that_a_killed_night_has_the_same_result(
    world: World, delay: float, expected: dict[str, list[tuple[object, ...]]]
) -> None:
    try:
        engine = world.start()
        try:
            engine.wait(delay)
        except subprocess.TimeoutExpired:
            engine.send_signal(signal.SIGKILL)
            engine.wait()
        ended = world.nightferry("start", WORKFLOW, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        actual = world.tables()
        for name, rows in expected.items():
            assert actual[name] == rows, f"{name} differ after a kill at {delay:.2f} s"
    finally:
        world.remove()
