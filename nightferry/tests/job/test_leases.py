"""One run at a time, wherever the lease is kept: in the database, in a folder, in S3."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from nightferry.credentials import aws_session
from nightferry.job.errors import Stopped
from nightferry.job.leases import Lease, Overlapping, Timing, hold
from nightferry.job.leases.database import DatabaseLeases
from nightferry.job.leases.lease import LeaseLost, Replaced
from nightferry.job.leases.state import LeasePlace
from nightferry.job.leases.stored import StoredLeases

MakeJob = Callable[..., Any]
MakeLease = Callable[..., Lease]

FAST = Timing(lasts=60, renew=0.05, look=0.02)


@pytest.fixture(params=["database", "folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LeasePlace]:
    match request.param:
        case "database":
            conninfo = request.getfixturevalue("empty_database")
            with psycopg.connect(conninfo) as connection:
                create_table(connection)
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


def create_table(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "CREATE TABLE nightferry_lease (name text PRIMARY KEY, holder text NOT NULL, acquired_at timestamptz NOT NULL,"
        " renewed_at timestamptz NOT NULL, expires_at timestamptz NOT NULL)"
    )


@pytest.fixture
def lease(place: LeasePlace) -> MakeLease:
    def make(run: str, owner: str | None = None, timing: Timing = FAST) -> Lease:
        return Lease(place, "dor-import", owner or run, run, timing)

    return make


def no_waiting(seconds: float) -> None:
    raise AssertionError("it should not wait")


def test_a_free_lease_is_taken_and_given_back(lease: MakeLease, place: LeasePlace) -> None:
    lease("a").acquire("skip", no_waiting)
    state = place.read("dor-import").state
    assert state is not None
    assert (state.owner, state.runs) == ("a", ("a",))
    assert state.expires_at - state.renewed_at == timedelta(seconds=60)
    lease("a").release()
    lease("b").acquire("skip", no_waiting)


def test_a_second_run_is_skipped(lease: MakeLease) -> None:
    lease("a").acquire("skip", no_waiting)
    with pytest.raises(Overlapping, match="dor-import runs already"):
        lease("b").acquire("skip", no_waiting)


def test_leases_of_other_names_are_free(lease: MakeLease, place: LeasePlace) -> None:
    lease("a").acquire("skip", no_waiting)
    Lease(place, "other", "b", "b").acquire("skip", no_waiting)


def test_a_lease_that_is_not_renewed_runs_out(lease: MakeLease) -> None:
    dead = lease("dead", timing=replace(FAST, lasts=0))
    dead.acquire("skip", no_waiting)
    lease("b").acquire("skip", no_waiting)
    with pytest.raises(LeaseLost):
        dead.renew()
    dead.release()  # it must not take the lease away from its new holder
    with pytest.raises(Overlapping):
        lease("c").acquire("skip", no_waiting)


def test_renewing_makes_it_last(lease: MakeLease, place: LeasePlace) -> None:
    held = lease("a")
    held.acquire("skip", no_waiting)
    before = place.read("dor-import").state
    held.renew()
    after = place.read("dor-import").state
    assert before is not None
    assert after is not None
    assert after.expires_at > before.expires_at
    assert after.acquired_at == before.acquired_at


def test_runs_of_one_execution_share_it_and_the_last_gives_it_back(lease: MakeLease) -> None:
    first, second = lease("a", owner="execution"), lease("b", owner="execution")
    first.acquire("skip", no_waiting)
    second.acquire("skip", no_waiting)
    first.release()
    with pytest.raises(Overlapping):
        lease("other").acquire("skip", no_waiting)
    second.renew()
    second.release()
    lease("other").acquire("skip", no_waiting)


def test_a_retry_takes_over_from_its_dead_predecessor_at_once(lease: MakeLease) -> None:
    lease("killed", owner="execution").acquire("skip", no_waiting)
    lease("retry", owner="execution").acquire("skip", no_waiting)


def test_a_queued_run_waits_until_it_is_free(lease: MakeLease) -> None:
    first = lease("a")
    first.acquire("skip", no_waiting)
    waited = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            first.release()

    lease("b").acquire("queue", wait)
    assert len(waited) == 3


def test_a_replacing_run_asks_the_holder_to_stop_and_waits_for_it(lease: MakeLease) -> None:
    first = lease("a")
    first.acquire("skip", no_waiting)
    seen = []

    def wait(seconds: float) -> None:
        with pytest.raises(Replaced):
            first.renew()
        seen.append(seconds)
        first.release()

    lease("b").acquire("replace", wait)
    assert len(seen) == 1


def test_of_two_replacing_runs_the_newer_one_wins(lease: MakeLease) -> None:
    lease("a").acquire("skip", no_waiting)

    def newer_comes(seconds: float) -> None:
        def stop(seconds: float) -> None:
            raise TimeoutError

        with pytest.raises(TimeoutError):
            lease("c").acquire("replace", stop)

    with pytest.raises(Replaced):
        lease("b").acquire("replace", newer_comes)


def test_of_many_that_start_at_once_one_gets_it(lease: MakeLease) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(6)

    def compete(run: str) -> None:
        start.wait()
        try:
            lease(run).acquire("skip", no_waiting)
            outcomes.append("got it")
        except Overlapping:
            outcomes.append("skipped")

    threads = [threading.Thread(target=compete, args=(f"run-{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["got it"] + ["skipped"] * 5


def test_holding_renews_by_itself_and_stops_the_run_that_is_replaced(lease: MakeLease) -> None:
    stopped = threading.Event()
    reasons: list[type[Stopped]] = []

    def stop(reason: type[Stopped]) -> None:
        reasons.append(reason)
        stopped.set()

    with ExitStack() as stack:
        stack.enter_context(hold(lease("a"), "skip", no_waiting, stop))
        successor = threading.Thread(target=lambda: lease("b").acquire("replace", time.sleep))
        successor.start()
        assert stopped.wait(20)
    successor.join(20)
    assert not successor.is_alive()
    assert reasons == [Replaced]


# ── whole jobs ────────────────────────────────────────────────────────────────────────────────────────────────


def held_by_somebody(folder: Path) -> dict[str, str]:
    Lease(StoredLeases(str(folder)), "a-job", "somebody", "somebody").acquire("skip", no_waiting)
    return {"NIGHTFERRY_LEASE": str(folder), "NIGHTFERRY_OVERLAP": "skip"}


def test_a_skipped_start_succeeds_and_says_so(job: MakeJob, tmp_path: Path) -> None:
    ended = job('log.info("ran")').run(**held_by_somebody(tmp_path / "leases"))
    assert ended.code == 0
    assert "somebody" in ended.events("skipped")[0]["message"]
    assert '"ran"' not in ended.stdout


def test_inside_a_workflow_a_skipped_start_is_a_failure(job: MakeJob, tmp_path: Path) -> None:
    ended = job("pass").run(SFN_EXECUTION_ID="execution", **held_by_somebody(tmp_path / "leases"))
    assert ended.code == 75


def test_a_job_gives_its_lease_back_when_it_fails(job: MakeJob, tmp_path: Path) -> None:
    place = {"NIGHTFERRY_LEASE": str(tmp_path / "leases"), "NIGHTFERRY_OVERLAP": "skip"}
    assert job("raise ValueError").run(**place).code == 1
    assert job("pass").run(**place).code == 0
    assert not job("pass").run(**place).events("skipped")


def test_without_a_place_for_leases_the_job_does_not_start(job: MakeJob) -> None:
    ended = job('log.info("ran")').run(NIGHTFERRY_OVERLAP="skip", NIGHTFERRY_LEASE="database")
    assert ended.code == 1
    assert "NIGHTFERRY_LEASE" in ended.events("failed")[0]["message"]
    assert '"ran"' not in ended.stdout


def test_before_the_first_migration_a_job_works_without_a_lease(job: MakeJob, empty_database: str) -> None:
    program = job('log.info("ran")')
    text = program.program.read_text()
    connect = "    def connect(self):\n        import psycopg\n        return psycopg.connect(os.environ['CONNINFO'])\n"
    program.program.write_text(text.replace("    folder_path", f"{connect}    folder_path", 1))
    ended = program.run(NIGHTFERRY_OVERLAP="queue", NIGHTFERRY_LEASE="database", CONNINFO=empty_database)
    assert ended.code == 0
    assert ended.events("no_lease")
    assert '"ran"' in ended.stdout


def test_lease_names_with_odd_owners_survive(place: LeasePlace) -> None:
    owner = f"arn:aws:states:us-east-1:123456789012:execution:machine:{uuid4()}"
    Lease(place, "x", owner, "a run", FAST).acquire("skip", no_waiting)
    state = place.read("x").state
    assert state is not None
    assert (state.owner, state.runs, state.successor) == (owner, ("a_run",), None)
