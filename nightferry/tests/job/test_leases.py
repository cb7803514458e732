"""Leases allow one run at a time in each store: a database, a folder and S3."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from queue import Queue
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from nightferry.credentials import aws_session
from nightferry.job.errors import Stopped
from nightferry.job.leases import Lease, LeaseTiming, StartSkipped, hold_lease
from nightferry.job.leases.database import TABLE, DatabaseLeases
from nightferry.job.leases.lease import LeaseLost, Replaced
from nightferry.job.leases.state import LeaseError, LeaseSnapshot, LeaseState, LeaseStore
from nightferry.job.leases.stored import StoredLeases

MakeJob = Callable[..., Any]
MakeLease = Callable[..., Lease]

FAST = LeaseTiming(duration=60, renew_interval=0.05, poll_interval=0.02)


@pytest.fixture(params=["database", "folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LeaseStore]:
    match request.param:
        case "database":
            conninfo = request.getfixturevalue("empty_database")
            yield DatabaseLeases(lambda: psycopg.connect(conninfo))
        case "folder":
            yield StoredLeases(str(tmp_path / "leases"))
        case "s3":
            monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("aws_server"))
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
            monkeypatch.setenv("AWS_REGION", "us-east-1")
            bucket = f"leases-{uuid4().hex}"
            aws_session().client("s3").create_bucket(Bucket=bucket)
            yield StoredLeases(f"s3://{bucket}/below")


@pytest.fixture
def lease(store: LeaseStore) -> MakeLease:
    def make(run: str, owner: str | None = None, timing: LeaseTiming = FAST) -> Lease:
        return Lease(store, "dor-import", owner or run, run, timing)

    return make


def fail_on_wait(seconds: float) -> None:
    raise AssertionError("acquire must not wait")


def test_a_free_lease_is_acquired_and_released(lease: MakeLease, store: LeaseStore) -> None:
    lease("a").acquire("skip", fail_on_wait)
    state = store.read("dor-import").state
    assert state is not None
    assert (state.owner, state.runs) == ("a", ("a",))
    assert state.expires_at - state.renewed_at == timedelta(seconds=60)
    lease("a").release()
    lease("b").acquire("skip", fail_on_wait)


def test_a_second_run_is_skipped(lease: MakeLease) -> None:
    lease("a").acquire("skip", fail_on_wait)
    with pytest.raises(StartSkipped, match="dor-import is already running"):
        lease("b").acquire("skip", fail_on_wait)


def test_leases_of_other_names_are_free(lease: MakeLease, store: LeaseStore) -> None:
    lease("a").acquire("skip", fail_on_wait)
    Lease(store, "other", "b", "b").acquire("skip", fail_on_wait)


def test_a_lease_that_is_not_renewed_expires(lease: MakeLease) -> None:
    dead = lease("dead", timing=replace(FAST, duration=0))
    dead.acquire("skip", fail_on_wait)
    lease("b").acquire("skip", fail_on_wait)
    with pytest.raises(LeaseLost):
        dead.renew()
    dead.release()  # must not release the lease of the new holder
    with pytest.raises(StartSkipped):
        lease("c").acquire("skip", fail_on_wait)


def test_renewal_extends_the_lease(lease: MakeLease, store: LeaseStore) -> None:
    held = lease("a")
    held.acquire("skip", fail_on_wait)
    before = store.read("dor-import").state
    held.renew()
    after = store.read("dor-import").state
    assert before is not None
    assert after is not None
    assert after.expires_at > before.expires_at
    assert after.acquired_at == before.acquired_at


def test_runs_of_one_execution_share_the_lease_and_the_last_releases_it(lease: MakeLease) -> None:
    first, second = lease("a", owner="execution"), lease("b", owner="execution")
    first.acquire("skip", fail_on_wait)
    second.acquire("skip", fail_on_wait)
    first.release()
    with pytest.raises(StartSkipped):
        lease("other").acquire("skip", fail_on_wait)
    second.renew()
    second.release()
    lease("other").acquire("skip", fail_on_wait)


def test_a_retry_acquires_the_lease_of_its_dead_predecessor_at_once(lease: MakeLease) -> None:
    lease("killed", owner="execution").acquire("skip", fail_on_wait)
    lease("retry", owner="execution").acquire("skip", fail_on_wait)


def test_a_queued_run_waits_until_the_lease_is_free(lease: MakeLease) -> None:
    first = lease("a")
    first.acquire("skip", fail_on_wait)
    waited = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            first.release()

    lease("b").acquire("queue", wait)
    assert len(waited) == 3


def test_a_replacing_run_requests_a_stop_and_waits_for_the_holder(lease: MakeLease) -> None:
    first = lease("a")
    first.acquire("skip", fail_on_wait)
    seen = []

    def wait(seconds: float) -> None:
        with pytest.raises(Replaced):
            first.renew()
        seen.append(seconds)
        first.release()

    lease("b").acquire("replace", wait)
    assert len(seen) == 1


def test_of_two_replacing_runs_the_newer_one_wins(lease: MakeLease) -> None:
    lease("a").acquire("skip", fail_on_wait)

    def start_newer_run(seconds: float) -> None:
        def stop(seconds: float) -> None:
            raise TimeoutError

        with pytest.raises(TimeoutError):
            lease("c").acquire("replace", stop)

    with pytest.raises(Replaced):
        lease("b").acquire("replace", start_newer_run)


def test_one_of_many_concurrent_starts_acquires_the_lease(lease: MakeLease) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(6)

    def compete(run: str) -> None:
        start.wait()
        try:
            lease(run).acquire("skip", fail_on_wait)
            outcomes.append("acquired")
        except StartSkipped:
            outcomes.append("skipped")

    threads = [threading.Thread(target=compete, args=(f"run-{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["acquired"] + ["skipped"] * 5


def test_a_held_lease_is_renewed_and_its_replaced_run_is_stopped(lease: MakeLease) -> None:
    stopped = threading.Event()
    reasons: list[type[Stopped]] = []

    def stop(reason: type[Stopped]) -> None:
        reasons.append(reason)
        stopped.set()

    with ExitStack() as stack:
        stack.enter_context(hold_lease(lease("a"), "skip", fail_on_wait, stop))
        successor = threading.Thread(target=lambda: lease("b").acquire("replace", time.sleep))
        successor.start()
        assert stopped.wait(20)
    successor.join(20)
    assert not successor.is_alive()
    assert reasons == [Replaced]


def test_a_stop_after_the_store_has_the_lease_releases_it(lease: MakeLease, store: LeaseStore) -> None:
    class StoppedStore:
        def read(self, name: str) -> LeaseSnapshot:
            return store.read(name)

        def replace(self, name: str, found: LeaseSnapshot, new: LeaseState | None) -> bool:
            replaced = store.replace(name, found, new)
            if new is not None:
                raise Stopped
            return replaced

    stopped = Lease(StoppedStore(), "dor-import", "a", "a", FAST)
    with pytest.raises(Stopped), hold_lease(stopped, "skip", fail_on_wait, lambda _reason: None):
        raise AssertionError("the body must not run")
    lease("b").acquire("skip", fail_on_wait)


# ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def hold_as_another_run(folder: Path) -> dict[str, str]:
    Lease(StoredLeases(str(folder)), "a-job", "other-run", "other-run").acquire("skip", fail_on_wait)
    return {"NIGHTFERRY_LEASE": str(folder), "NIGHTFERRY_OVERLAP": "skip"}


def test_a_skipped_start_succeeds_and_logs_the_holder(job: MakeJob, tmp_path: Path) -> None:
    ended = job('log.info("ran")').run(**hold_as_another_run(tmp_path / "leases"))
    assert ended.code == 0
    assert "other-run" in ended.events("skipped")[0]["message"]
    assert '"ran"' not in ended.stdout


def test_a_skipped_start_in_a_workflow_exits_with_75(job: MakeJob, tmp_path: Path) -> None:
    ended = job("pass").run(SFN_EXECUTION_ID="execution", **hold_as_another_run(tmp_path / "leases"))
    assert ended.code == 75


def test_a_failed_job_releases_its_lease(job: MakeJob, tmp_path: Path) -> None:
    store = {"NIGHTFERRY_LEASE": str(tmp_path / "leases"), "NIGHTFERRY_OVERLAP": "skip"}
    assert job("raise ValueError").run(**store).code == 1
    assert job("pass").run(**store).code == 0
    assert not job("pass").run(**store).events("skipped")


def test_a_stop_does_not_interrupt_the_release(job: MakeJob, tmp_path: Path) -> None:
    store = {"NIGHTFERRY_LEASE": str(tmp_path / "leases"), "NIGHTFERRY_OVERLAP": "skip"}
    stopped = job("pass")
    head = """
import os, signal
from nightferry.job.leases import Lease
release = Lease.release
def release_while_stopped(lease):
    os.kill(os.getpid(), signal.SIGTERM)
    release(lease)
Lease.release = release_while_stopped
"""
    stopped.program.write_text(head + stopped.program.read_text())
    ended = stopped.run(**store)
    assert (ended.code, len(ended.events("stopping"))) == (0, 1)
    assert not job("pass").run(**store).events("skipped")


def test_a_job_without_a_lease_store_does_not_start(job: MakeJob) -> None:
    ended = job('log.info("ran")').run(NIGHTFERRY_OVERLAP="skip", NIGHTFERRY_LEASE="database")
    assert ended.code == 1
    assert "NIGHTFERRY_LEASE" in ended.events("failed")[0]["message"]
    assert '"ran"' not in ended.stdout


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (
            "DROP TABLE nightferry_lease; REVOKE CREATE ON SCHEMA public FROM PUBLIC",  # as PostgreSQL 15
            f'relation "nightferry_lease" does not exist. Check the name of the database and its schema. If they are '
            f"right, run the migrations, or create the table as the owner of the schema: {TABLE}",
        ),
        ("ALTER TABLE nightferry_lease SET SCHEMA other", 'relation "nightferry_lease" does not exist. Check the name'),
        ("ALTER DATABASE {} SET default_transaction_read_only = on", "read-only transaction. After a failover"),
        ("REVOKE ALL ON nightferry_lease FROM worker", "permission denied for table nightferry_lease. Grant the"),
        ("ALTER TABLE nightferry_lease ADD COLUMN reason text NOT NULL", 'null value in column "reason"'),
    ],
)
def test_a_job_that_cannot_take_its_lease_fails_with_the_cause(
    job: MakeJob, empty_database: str, prepare: str, message: str
) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute("CREATE SCHEMA other; DROP ROLE IF EXISTS worker; CREATE ROLE worker LOGIN")
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON nightferry_lease TO worker")
        connection.execute(prepare.format(connection.info.dbname).encode())
    program = job('log.info("ran")')
    text = program.program.read_text()
    connect = "    def connect(self):\n        import psycopg\n        return psycopg.connect(os.environ['CONNINFO'])\n"
    program.program.write_text(text.replace("    folder_path", f"{connect}    folder_path", 1))
    worker = make_conninfo(empty_database, user="worker")
    ended = program.run(NIGHTFERRY_OVERLAP="queue", NIGHTFERRY_LEASE="database", CONNINFO=worker)
    assert ended.code == 1
    (failed,) = ended.events("failed")
    assert failed["message"].startswith("Cannot take or renew the lease a-job in database test_")
    assert message in failed["message"]
    assert "Traceback" not in ended.stdout
    assert '"ran"' not in ended.stdout
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("DROP OWNED BY worker; DROP ROLE worker")


def test_the_first_of_many_starts_creates_the_table_and_one_takes_the_lease(empty_database: str) -> None:
    """A user of the toolkit has no migration of ours. Without a table, every start would run."""
    barrier, outcomes = threading.Barrier(8), Queue[str]()

    def start(run: str) -> None:
        lease = Lease(DatabaseLeases(lambda: psycopg.connect(empty_database)), "load", run, run, FAST)
        barrier.wait()
        try:
            lease.acquire("skip", fail_on_wait)
            outcomes.put("ran")
        except StartSkipped:
            outcomes.put("skipped")

    threads = [threading.Thread(target=start, args=(f"run-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes.get_nowait() for _ in threads) == ["ran"] + ["skipped"] * 7


def test_an_owner_with_special_characters_is_stored_unchanged(store: LeaseStore) -> None:
    owner = f"arn:aws:states:us-east-1:123456789012:execution:machine:{uuid4()}"
    Lease(store, "x", owner, "a run", FAST).acquire("skip", fail_on_wait)
    state = store.read("x").state
    assert state is not None
    assert (state.owner, state.runs, state.successor) == (owner, ("a_run",), None)


class BrokenStore:
    """A store that stops responding after the lease was acquired: each request fails, or waits for ``freed``."""

    def __init__(self, store: LeaseStore, *, hangs: bool) -> None:
        self.store = store
        self.hangs = hangs
        self.freed = threading.Event()
        self.is_broken = False

    def read(self, name: str) -> LeaseSnapshot:
        if self.is_broken:
            if self.hangs:
                self.freed.wait()
            raise LeaseError("The store does not respond.")
        return self.store.read(name)

    def replace(self, name: str, found: LeaseSnapshot, new: LeaseState | None) -> bool:
        return self.store.replace(name, found, new)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_run_whose_lease_cannot_be_renewed_is_stopped_before_it_expires(tmp_path: Path, hangs: bool) -> None:
    broken = BrokenStore(StoredLeases(str(tmp_path)), hangs=hangs)
    timing = LeaseTiming(duration=0.4, renew_interval=0.1, poll_interval=0.02)
    stops: Queue[type[Stopped]] = Queue()
    began = time.monotonic()
    with hold_lease(Lease(broken, "load", "a", "a", timing), "skip", fail_on_wait, stops.put):
        broken.is_broken = True
        assert stops.get(timeout=10) is LeaseLost
        assert time.monotonic() - began >= 0.3
        broken.freed.set()
