"""Many open pages cause no more calls of AWS than one, and the last known data stay when AWS is unreachable."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.aws.session import AccessDenied
from nightferry.aws.shared_calls import SharedAws, SharedCalls
from nightferry.backend.errors import CredentialsExpired, Unreachable
from nightferry.backend.freshness import Freshness
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.runs import RunRequest
from nightferry.environments.project import Project
from nightferry.errors import NightferryError, UnknownName
from nightferry.testing import FakeClock, FakeFargate, TaskScript


class Server:
    """A server that counts calls."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.freshness = Freshness()
        self.shared = SharedCalls(self.freshness, self.describe, clock)
        self.made: Counter[str] = Counter()
        self.value: Any = "a"
        self.error: Exception | None = None

    def describe(self, error: Exception) -> NightferryError:
        return error if isinstance(error, NightferryError) else NightferryError("other")

    def call(self, name: str = "x", operation: str = "DescribeTasks") -> Any:
        def make() -> dict[str, Any]:
            self.made[name] += 1
            if self.error is not None:
                raise self.error
            return {"value": self.value, "ResponseMetadata": {"RequestId": sum(self.made.values())}}

        return self.shared.call("ecs", operation, {"name": name}, make)["value"]


@pytest.fixture
def server(clock: FakeClock) -> Server:
    return Server(clock)


def poll(server: Server, seconds: int, *calls: Callable[[], object]) -> int:
    """Make the calls every two seconds, as an open page does. Return the number of calls that reached the server."""
    before = sum(server.made.values())
    for _ in range(0, seconds, 2):
        for call in calls:
            call()
        server.clock.sleep(2)
    return sum(server.made.values()) - before


@pytest.mark.parametrize("number", [1, 3, 20])
def test_an_idle_page_makes_six_calls_a_minute_whatever_it_shows(server: Server, number: int) -> None:
    calls: list[Callable[[], object]] = [lambda name=str(n): server.call(name) for n in range(number)]  # type: ignore[misc]
    poll(server, 600, *calls)
    assert poll(server, 600, *calls) <= 60


def test_a_change_makes_the_next_calls_frequent_for_a_while(server: Server) -> None:
    poll(server, 300, server.call)
    assert poll(server, 60, server.call) == 6
    server.value = "b"
    poll(server, 20, server.call)
    assert server.call() == "b"
    assert poll(server, 60, server.call) >= 29
    poll(server, 300, server.call)
    assert poll(server, 60, server.call) == 6


def test_one_of_many_threads_makes_the_call(server: Server) -> None:
    begun, release = threading.Event(), threading.Event()

    def make() -> dict[str, Any]:
        server.made["slow"] += 1
        begun.set()
        assert release.wait(20)
        return {"value": "slow"}

    with ThreadPoolExecutor(10) as threads:
        waiting = [threads.submit(server.shared.call, "ecs", "ListTasks", {}, make) for _ in range(10)]
        assert begun.wait(20)
        release.set()
        assert [one.result(20)["value"] for one in waiting] == ["slow"] * 10
    assert server.made["slow"] == 1


def test_a_request_that_changes_something_makes_all_data_old(server: Server) -> None:
    server.call("list")
    server.call("stop", "StopTask")
    server.call("stop", "StopTask")
    server.call("list")
    assert server.made == {"list": 2, "stop": 2}


def test_a_person_who_reloads_gets_new_data(server: Server) -> None:
    server.call()
    server.freshness.begin(0)
    server.call()
    server.freshness.begin()
    server.call()
    assert server.made["x"] == 2


@pytest.mark.parametrize(
    "error", [Unreachable("no network"), CredentialsExpired("expired", renewable=True), AccessDenied("not allowed")]
)
def test_the_last_known_data_have_their_time_and_the_problem(server: Server, error: Exception) -> None:
    read_at = server.clock.now()
    server.call()
    server.error, server.value = error, "b"
    server.clock.sleep(60)
    server.freshness.begin()
    assert server.call() == "a"
    oldest = server.freshness.oldest
    assert oldest is not None
    assert (oldest.time, oldest.problem) == (read_at, str(error))
    before = server.made["x"]
    assert server.call() == "a"
    assert server.made["x"] == before, "a failure is not repeated at once"
    server.error = None
    server.clock.sleep(60)
    server.freshness.begin()
    assert server.call() == "b"
    assert server.freshness.oldest is not None
    assert server.freshness.oldest.problem is None


def test_an_error_without_known_data_is_raised_and_not_repeated_at_once(server: Server) -> None:
    server.error = Unreachable("no network")
    for _ in range(3):
        with pytest.raises(Unreachable):
            server.call()
    assert server.made["x"] == 1


def test_a_definite_error_replaces_known_data(server: Server) -> None:
    server.call()
    server.error = UnknownName("run", "x", [])
    server.clock.sleep(60)
    with pytest.raises(UnknownName):
        server.call()


def test_known_responses_are_limited(server: Server) -> None:
    big = {"events": ["line"] * 10_000}
    for n in range(20):
        server.shared.call("logs", "FilterLogEvents", {"n": n}, lambda: big)
    assert sum(len(entry.response["events"]) for entry in server.shared._entries.values() if entry.response) <= 50_000


# ── a backend whose calls are shared ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def freshness() -> Freshness:
    return Freshness()


@pytest.fixture
def shared(project: Project, fargate: FakeFargate, clock: FakeClock, freshness: Freshness) -> AwsBackend:
    environment = project.environment("test")
    assert environment.aws is not None
    aws = SharedAws(environment.aws.region, environment.aws.account, freshness, clock)
    return AwsBackend(project, environment, clock=clock, aws=aws)


def view_overview(backend: AwsBackend, clock: FakeClock) -> None:
    """Read what the first page shows."""
    since = clock.now() - timedelta(hours=24)
    for outcome in ("failed", "open"):
        backend.executions(ExecutionFilter(outcome=outcome, since=since), limit=10)
        backend.count_executions(ExecutionFilter(outcome=outcome, since=since))
        backend.runs(RunFilter(outcome=outcome, since=since), limit=10)
        backend.count_runs(RunFilter(outcome=outcome, since=since))


def test_an_idle_overview_makes_at_most_six_calls_a_minute(
    shared: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    view_overview(shared, clock)
    different = len(fargate.calls)
    for _ in range(20):
        view_overview(shared, clock)
        clock.sleep(60)
    assert len(fargate.calls) <= 20 * 6 + 2 * different


def test_ten_tabs_make_no_more_calls_than_one(shared: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> None:
    view_overview(shared, clock)
    one_tab = Counter(fargate.calls)
    clock.sleep(3600)
    fargate.calls.clear()
    with ThreadPoolExecutor(10) as threads:
        for tab in [threads.submit(view_overview, shared, clock) for _ in range(10)]:
            tab.result(60)
    assert Counter(fargate.calls) <= one_tab
    assert fargate.calls


def test_a_run_is_shown_at_once_after_its_start(shared: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> None:
    fargate.script("slow", TaskScript(pending=0, running=1, stopped=60))
    assert not shared.runs(RunFilter(outcome="open"))
    id = shared.run_task(RunRequest("slow"))
    assert [run.id for run in shared.runs(RunFilter(outcome="open"))] == [id]
    clock.sleep(100)
    assert shared.run(id).status == "STOPPED"


def test_pages_show_the_last_known_data_while_aws_is_unreachable(
    shared: AwsBackend, fargate: FakeFargate, clock: FakeClock, freshness: Freshness
) -> None:
    fargate.script("slow", TaskScript(pending=0, running=1, stopped=6000))
    id = shared.run_task(RunRequest("slow"))
    view_overview(shared, clock)
    clock.sleep(400)
    fargate.inject_errors("*", "ExpiredTokenException", times=100)
    freshness.begin()
    assert [run.id for run in shared.runs(RunFilter(outcome="open", since=clock.now() - timedelta(hours=24)))] == [id]
    assert freshness.oldest is not None
    assert "The AWS credentials have expired" in str(freshness.oldest.problem)
    assert (clock.now() - freshness.oldest.time).total_seconds() >= 400
