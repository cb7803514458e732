"""The actions of people on AWS: authors that AWS keeps, and those in the journal of this machine."""

from __future__ import annotations

import getpass
from datetime import timedelta

import pytest

from nightferry.audit.recording import Recorder
from nightferry.aws.backend import AwsBackend
from nightferry.backend.actions import Action, ActionFilter
from nightferry.backend.queries import Cursor
from nightferry.backend.runs import RunRequest
from nightferry.contract import Privacy
from nightferry.testing import FakeClock, FakeFargate, TaskScript


@pytest.fixture
def recorder(backend: AwsBackend, clock: FakeClock) -> Recorder:
    return Recorder(backend, "ann", "cli", Privacy.STRICT, clock)


def describe(actions: list[Action]) -> list[tuple[str, str, str, str]]:
    return [(one.action, one.author, one.target, one.via) for one in actions]


def list_all(backend: AwsBackend, wanted: ActionFilter = ActionFilter(), limit: int = 50) -> list[Action]:  # noqa: B008
    found: list[Action] = []
    before: Cursor | None = None
    while True:
        page = backend.actions(wanted, before=before, limit=limit)
        found += page
        if page.next is None:
            return found
        before = page.next


def test_the_author_is_the_callers_name(backend: AwsBackend, fargate: FakeFargate) -> None:
    assert fargate.url
    name = backend.author()
    vars(backend.aws)["caller"] = "arn:aws-us-gov:sts::123456789012:assumed-role/Operator/jane.doe@agency.gov"
    assert (backend.author(), bool(name)) == ("jane.doe", True), "it is read once"


def test_an_action_does_not_fail_because_sts_is_not_reachable(
    backend: AwsBackend, fargate: FakeFargate, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fargate.url
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")  # nothing listens there
    assert backend.author() == getpass.getuser()


def test_an_execution_has_its_author_in_lists_and_alone(backend: AwsBackend, fargate: FakeFargate) -> None:
    id = backend.start_workflow("fails", {}, "jane.doe")
    unknown = backend.start_workflow("marks", {})
    assert id.endswith("-jane-doe")
    assert backend.execution(id).started_by == "jane-doe"
    assert {one.id: one.started_by for one in backend.executions()} == {id: "jane-doe", unknown: None}


def test_an_author_with_other_characters_does_not_break_the_name(backend: AwsBackend, fargate: FakeFargate) -> None:
    id = backend.start_workflow("fails", {}, "Ann O'Brien <ann>/" + "x" * 80)
    assert len(id) == 80
    assert (backend.execution(id).started_by or "").startswith("Ann-O-Brien-ann-xxx")


def test_the_journal_comes_first_and_other_machines_are_known_in_part(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, recorder: Recorder
) -> None:
    fargate.script("three", TaskScript(exit_code=3))
    fargate.script("slow", TaskScript(stopped=3000))
    with recorder.record("run", "three", "to try it") as outcome:
        mine = backend.run_task(RunRequest("three", started_by="ann"))
        outcome.ids = [mine]
    clock.sleep(120)
    theirs = backend.run_task(RunRequest("slow", started_by="bob"))
    clock.sleep(60)
    backend.run_task(RunRequest("hello", started_by="trigger/inbox"))
    backend.run_task(RunRequest("hello", started_by="retry/0123456789abcdef0123456789ab"))
    backend.stop(theirs, "It hangs.", "cem")
    clock.sleep(60)
    execution = backend.start_workflow("fails", {}, "dan")
    with recorder.record("redrive-run", mine) as outcome:
        outcome.ids = [backend.redrive_run(mine)]
    clock.sleep(300)
    found = backend.actions(limit=50)
    assert sorted(describe(list(found))) == sorted(
        [
            ("redrive-run", "ann", mine, "cli"),
            ("start", "dan", "fails", "aws"),
            ("stop", "cem", theirs, "aws"),
            ("run", "bob", "slow", "aws"),
            ("run", "ann", "three", "cli"),
        ]
    )
    assert found.next is None
    assert [one.time for one in found] == sorted((one.time for one in found), reverse=True)
    [stopped] = backend.actions(ActionFilter(action="stop"))
    assert stopped.reason == "It hangs. (by cem)"
    assert describe(list(backend.actions(ActionFilter(id=theirs)))) == describe([stopped, *(
        one for one in found if one.author == "bob")])  # fmt: skip
    assert describe(list(backend.actions(ActionFilter(author="dan")))) == [("start", "dan", "fails", "aws")]
    assert backend.actions(ActionFilter(id=execution))[0].author == "dan"
    assert backend.actions(ActionFilter(id=mine, author="ann"))[0].action == "redrive-run"
    assert not backend.actions(ActionFilter(id="0" * 32))
    assert not backend.knows_all_actions


def test_a_redrive_from_another_machine_has_no_author(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    fargate.script("three", TaskScript(exit_code=3))
    failed = backend.run_task(RunRequest("three", started_by="bob"))
    clock.sleep(300)
    again = backend.redrive_run(failed)
    [action] = backend.actions(ActionFilter(action="redrive-run"))
    assert (action.author, action.via) == ("", "aws")
    assert action.result is not None
    assert action.result.ids == (again,)
    assert failed.startswith(action.target)


def test_pages_have_each_action_once(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, recorder: Recorder
) -> None:
    for n in range(2):
        backend.run_task(RunRequest("hello", started_by=f"person-{n}"))
        clock.sleep(30)
        with recorder.record("run", "hello") as outcome:
            outcome.ids = [backend.run_task(RunRequest("hello", started_by="ann"))]
        clock.sleep(30)
        backend.run_task(RunRequest("hello", started_by="trigger/inbox"))
        clock.sleep(30)
        backend.start_workflow("fails", {}, f"starter-{n}")
        clock.sleep(30)
    found = list_all(backend, limit=2)
    assert len({one.id for one in found}) == len(found) == 6
    assert {one.author for one in found} == {"ann", *(f"{who}-{n}" for n in range(2) for who in ("person", "starter"))}
    recent = ActionFilter(since=clock.now() - timedelta(seconds=125))
    assert len(list_all(backend, recent, 2)) == 3
