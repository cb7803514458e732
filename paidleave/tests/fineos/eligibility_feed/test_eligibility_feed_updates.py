"""Updates mode: claimed employees, their files, removal of rows from the queue, and crashes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from paidleave.db import locks
from paidleave.fineos.client.client import FineosClient
from paidleave.fineos.client.messages import Party
from paidleave.fineos.eligibility_feed import command
from paidleave.fineos.settings import FineosClientSettings
from tests.fineos.conftest import RunningSimulator
from tests.fineos.eligibility_feed import feed_reference as reference
from tests.fineos.eligibility_feed.feed_world import World, contents, files, number

pytestmark = pytest.mark.sampled(8)


@pytest.fixture
def world(database: str) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


def people_in(path: Path) -> list[UUID]:
    """Return the employees of a file whose fields contain no line ends."""
    return [UUID(line.split(b",", 1)[0].decode()) for line in path.read_bytes().split(b"\r\n")[1:-1]]


def sent(output: Path) -> Counter[tuple[int, UUID]]:
    """Count how often each (employer's number, employee) was written."""
    return Counter((number(path), person) for path in files(output) for person in people_in(path))


def store(uri: str, chunks: Iterable[bytes]) -> None:
    content, path = b"".join(chunks), Path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_queued_employees_are_sent_for_the_employer_of_the_latest_wages(world: World, tmp_path: Path) -> None:
    old, new = world.employer(1), world.employer(2)
    person, unqueued = world.employee(old), world.employee(new)
    world.wage(person, new, date(2021, 6, 30))
    world.queue(person)
    world.queue(person, action="INSERT")
    report = world.export(tmp_path, "updates")
    assert sent(tmp_path) == {(2, person): 1}
    assert contents(tmp_path)[2] == reference.build_file(world.db, new, only={person})
    assert world.queued() == set()
    assert report["employees_pending_count"] == 1
    assert unqueued not in people_in(files(tmp_path)[0])


def test_of_several_employers_with_wages_in_one_period_the_smallest_id_is_the_main_one(
    world: World, tmp_path: Path
) -> None:
    employers = sorted((world.employer(n), n) for n in (1, 2, 3))
    person = world.employee(*(employer for employer, _ in employers))
    world.queue(person)
    world.export(tmp_path, "updates")
    assert sent(tmp_path) == {(employers[0][1], person): 1}


def test_a_new_employer_gets_a_file_although_another_has_the_latest_wages(world: World, tmp_path: Path) -> None:
    main, new = world.employer(1), world.employer(2)
    person = world.employee(main)
    world.queue(person, new)
    world.export(tmp_path, "updates")
    assert sent(tmp_path) == {(1, person): 1, (2, person): 1}
    assert world.queued() == set()


def test_a_row_waits_for_the_file_of_its_own_employer(world: World, tmp_path: Path) -> None:
    """The old system deleted rows without an employer as soon as any employer's file was written."""
    main, new = world.employer(1), world.employer(2)
    person, colleague = world.employee(main), world.employee(new)
    generic, named = world.queue(person), world.queue(person, new)
    other = world.queue(colleague)

    def only_employer_2(uri: str, chunks: Iterable[bytes]) -> None:
        if uri.endswith("_1.csv"):
            raise OSError(5, "Input/output error")
        store(uri, chunks)

    report = world.export(tmp_path, "updates", write=only_employer_2)
    assert sent(tmp_path) == {(2, person): 1, (2, colleague): 1}
    assert world.queued() == {generic}
    assert not {named, other} & world.queued()
    assert world.queue_state(generic) == (1, None, None, "OSError 5", None)
    assert report["employers_error_count"] == 1
    world.export(tmp_path, "updates")
    assert sent(tmp_path)[1, person] == 1
    assert world.queued() == set()


def test_rows_added_during_the_export_remain(world: World, tmp_path: Path) -> None:
    employer = world.employer(1)
    person = world.employee(employer)
    world.queue(person)
    added: list[UUID] = []

    def write(uri: str, chunks: Iterable[bytes]) -> None:
        added.append(world.queue(person))
        store(uri, chunks)

    world.export(tmp_path, "updates", write=write)
    assert world.queued() == set(added)
    assert len(added) == 1


def test_employees_that_cannot_be_sent_remain_queued_and_do_not_block_others(world: World, tmp_path: Path) -> None:
    """Employees without wages, without a name, or with an employer that is not at FINEOS do not exhaust the limit."""
    known, unknown = world.employer(1), world.employer(None)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    stuck = {
        world.queue(world.employee(), modified_at=long_ago),
        world.queue(world.employee(known, first_name=""), modified_at=long_ago),
    }
    hopeless = [world.queue(world.employee(unknown), modified_at=long_ago) for _ in range(2)]
    fine = [world.queue(world.employee(known), modified_at=long_ago + timedelta(days=n)) for n in range(4)]
    reports = [
        world.export(tmp_path, "updates", ELIGIBILITY_FEED_EXPORT_EMPLOYEE_LIMIT=2, **no_such_employer)
        for no_such_employer in ({}, {}, {})
    ]
    assert world.queued() == stuck | set(hopeless)
    assert not set(fine) & world.queued()
    for queue_id in hopeless:
        assert world.queue_state(queue_id) == (1, None, None, "FineosUnavailable OAuth2 token request", None)
    assert reports[0]["employees_without_name_count"] == reports[0]["employees_without_employer_count"] == 1


def test_an_employers_number_is_looked_up_and_fineos_imports_the_files(
    world: World, tmp_path: Path, simulator: RunningSimulator
) -> None:
    settings = FineosClientSettings(**simulator.client_settings())
    known = world.employer(None, employer_fein="100000001")
    unknown = world.employer(None, employer_fein="100000002")

    async def create() -> int:
        async with FineosClient(settings) as fineos:
            return await fineos.create_or_update_party(Party(str(known), "100000001", "Acme", "Acme"))

    at_fineos = asyncio.run(create())
    waiting = world.queue(world.employee(unknown))
    person = world.employee(known, last_name='O\'Hara, "Jr"\r\n', phone_number="+442071838750")
    world.queue(person)
    client = {name.upper(): value for name, value in simulator.client_settings().items()}
    report = world.export(simulator.folder / "import", "updates", **client)
    ((path, content),) = [(path, path.read_bytes()) for path in files(simulator.folder / "import")]
    assert (number(path), content) == (at_fineos, reference.build_file(world.db, known, only={person}))
    assert world.queued() == {waiting}
    assert world.queue_state(waiting) == (1, None, None, "EmployerUnknownToFineos", None)
    assert (report["employers_unknown_to_fineos_count"], report["employers_skipped_count"]) == (1, 1)
    imported = simulator.http.post("_simulator/feeds").raise_for_status().json()
    assert [(feed["name"], feed["records"], feed["reason"]) for feed in imported] == [(path.name, 1, None)]


def test_the_employee_limit_selects_those_that_wait_longest(world: World, tmp_path: Path) -> None:
    employer = world.employer(1)
    start = datetime(2021, 1, 1, tzinfo=UTC)
    rows = [world.queue(world.employee(employer), modified_at=start + timedelta(days=n)) for n in (3, 1, 2)]
    world.export(tmp_path, "updates", ELIGIBILITY_FEED_EXPORT_EMPLOYEE_LIMIT=2)
    assert world.queued() == {rows[0]}
    assert world.queue_state(rows[0]) == (0, None, None, None, None)


def test_the_file_limit_counts_written_files_and_the_rest_is_released(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BATCH_FILES", 2)
    start = datetime(2021, 1, 1, tzinfo=UTC)
    rows = [world.queue(world.employee(world.employer(n)), modified_at=start + timedelta(days=n)) for n in range(1, 8)]

    def not_the_second(uri: str, chunks: Iterable[bytes]) -> None:
        if uri.endswith("_2.csv"):
            raise OSError(5, "Input/output error")
        store(uri, chunks)

    world.export(tmp_path, "updates", write=not_the_second, ELIGIBILITY_FEED_EXPORT_FILE_NUMBER_LIMIT=4)
    assert sorted(contents(tmp_path)) == [1, 3, 4, 5]
    assert world.queued() == {rows[1], rows[5], rows[6]}
    assert world.queue_state(rows[1]) == (1, None, None, "OSError 5", None)
    assert world.queue_state(rows[5]) == (0, None, None, None, None)


def test_rows_of_deleted_people_are_removed_and_a_deleted_employer_is_ignored(world: World, tmp_path: Path) -> None:
    main = world.employer(1)
    person = world.employee(main)
    world.queue(UUID(int=1))
    world.queue(person, UUID(int=2))
    foreign = world.queue(person, action="DELETE")
    world.export(tmp_path, "updates")
    assert sent(tmp_path) == {(1, person): 1}
    assert world.queued() == {foreign}


def test_rows_left_by_the_old_system_are_exported(world: World, tmp_path: Path) -> None:
    world.queue(world.employee(world.employer(1)), process_id=1)
    world.export(tmp_path, "updates")
    assert world.queued() == set()


def test_an_employee_claimed_by_a_living_export_is_skipped(world: World, tmp_path: Path) -> None:
    employer = world.employer(1)
    person, free = world.employee(employer), world.employee(employer)
    soon = datetime.now(UTC) + timedelta(hours=1)
    held = world.queue(person, claimed_by="other", lease_expires_at=soon, attempts=1)
    newer = world.queue(person)
    world.queue(free)
    with psycopg.connect(world.conninfo, autocommit=True) as other:
        locks.CLAIMANT.lock("other").acquire(other)
        report = world.export(tmp_path, "updates")
        assert sent(tmp_path) == {(1, free): 1}
        assert report["employees_held_by_other_export_count"] == 1
        world.db.execute(
            "UPDATE employee_push_to_fineos_queue SET lease_expires_at = now() - interval '1 second'"
            " WHERE claimed_by = 'other'"
        )
        assert world.queued() == {held, newer}
        world.export(tmp_path, "updates")  # The other export is alive, but its lease has expired.
    assert sent(tmp_path)[1, person] == 1
    assert world.queued() == set()


def test_the_claims_of_a_killed_export_expire_immediately(world: World, tmp_path: Path) -> None:
    person = world.employee(world.employer(1))
    world.queue(person, claimed_by="dead", lease_expires_at=datetime.now(UTC) + timedelta(hours=1), attempts=1)
    world.export(tmp_path, "updates")
    assert sent(tmp_path) == {(1, person): 1}
    assert world.queued() == set()


def test_an_exception_releases_all_claims(world: World, tmp_path: Path) -> None:
    rows = {world.queue(world.employee(world.employer(n))) for n in range(1, 30)}
    with pytest.raises(Exception, match="20 files in a row"):
        world.export(tmp_path / "out", "updates", write=fail_write)
    assert world.queued() == rows
    assert {(world.queue_state(row) or ())[1] for row in rows} == {None}
    world.export(tmp_path / "out", "updates")
    assert world.queued() == set()


def fail_write(uri: str, chunks: Iterable[bytes]) -> None:
    raise OSError(28, "No space left on device", uri)


def queue_employees(world: World, employers: int) -> set[tuple[int, UUID]]:
    """Queue two employees per employer who also work at the next employer. Return the expected file records."""
    due = set()
    ids = [world.employer(n) for n in range(1, employers + 1)]
    for index in range(employers):
        for _ in range(2):
            person = world.employee(ids[index])
            world.queue(person)
            world.queue(person, ids[(index + 1) % employers])
            due |= {(index + 1, person), ((index + 1) % employers + 1, person)}
    return due


def test_two_concurrent_exports_send_everyone_once(world: World, tmp_path: Path) -> None:
    due = queue_employees(world, 60)
    processes = [
        world.process(tmp_path, "updates", ELIGIBILITY_FEED_EXPORT_EMPLOYEE_LIMIT=60, NIGHTFERRY_RUN_ID=f"run-{n}")
        for n in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sent(tmp_path) == dict.fromkeys(due, 1)
    assert world.queued() == set()


@pytest.mark.parametrize("after_files", [0, 1, 25, 70])
def test_an_export_after_a_kill_sends_everyone(world: World, tmp_path: Path, after_files: int) -> None:
    """Delivery is at least once: files written before the kill can be written again under a different name."""
    due = queue_employees(world, 60)
    process = world.process(tmp_path, "updates")
    deadline = time.monotonic() + 60
    while process.poll() is None and len(list(tmp_path.rglob("*.csv"))) < after_files and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, text = world.run(tmp_path, "updates")
    assert code == 0, text
    for path in tmp_path.rglob(".nightferry-*"):  # The killed process left incomplete files with hidden names.
        path.unlink()
    assert set(sent(tmp_path)) == due
    assert world.queued() == set()


def test_sigterm_ends_the_export_with_code_143_and_releases_all_claims(world: World, tmp_path: Path) -> None:
    due = queue_employees(world, 100)
    process = world.process(tmp_path, "updates")
    deadline = time.monotonic() + 60
    while process.poll() is None and not list(tmp_path.rglob("*.csv")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.terminate()
    text, _ = process.communicate(timeout=60)
    held: Any = world.db.execute(
        "SELECT count(*) FROM employee_push_to_fineos_queue WHERE claimed_by IS NOT NULL"
    ).fetchone()
    assert held == (0,), text
    assert process.returncode in (0, 143), text
    assert "Traceback" not in text
    world.export(tmp_path, "updates")
    assert set(sent(tmp_path)) == due
