"""Test actions from pages: the checks at the action, one use of a form, the record, and the pages of each action."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nightferry.backend.actions import Action, ActionName
from nightferry.backend.runs import RunRequest
from nightferry.catalog.declarations import ByHand
from nightferry.dashboard.actions.perform import perform, show_form
from nightferry.dashboard.actions.proposal import Done, Proposal
from nightferry.dashboard.actions.rights import ACTIONS
from nightferry.dashboard.actions.submissions import MOST_PER_MINUTE, Submissions
from nightferry.dashboard.routes import PAGES, Page
from nightferry.dashboard.site import Site
from nightferry.dashboard.view import View
from nightferry.errors import NightferryError
from nightferry.local.backend import LocalBackend
from tests.dashboard.dashboards import check_html, make_client, make_site
from tests.dashboard.night import copy_night

REASON = {"reason": "The disk was full."}


@pytest.fixture
def failed_night(night: Path, tmp_path: Path) -> Path:
    """Return a copy of the night's project, which a test may change."""
    return copy_night(night, tmp_path / "a copy")


def find_targets(site: Site) -> dict[str, str]:
    """Return the path of each form of this module, with targets for which its action is possible."""
    backend = site.backend
    running = backend.run_task(RunRequest("slow", started_by="anna"))
    failed = next(run for run in backend.runs(limit=100) if run.task == "three" and run.execution is None)
    execution = next(one for one in backend.executions() if one.status == "FAILED")
    return {
        "stop": f"/local/runs/{running}/stop",
        "redrive-run": f"/local/runs/{failed.id}/redrive",
        "redrive": f"/local/executions/{execution.id}/redrive",
        "test-notice": f"/local/topics/{next(iter(site.catalog.topics))}/test",
    }


FORMS: tuple[ActionName, ...] = ("stop", "redrive-run", "redrive", "test-notice")


def list_actions(site: Site) -> list[Action]:
    return list(site.backend.actions(limit=100))


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the pages from starting an engine in the background, which would outlive the test."""
    monkeypatch.setattr("nightferry.local.backend.LocalBackend.detach", lambda _: None)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_shows_what_will_happen_and_acts_once(failed_night: Path, name: ActionName) -> None:
    site = make_site(failed_night)
    client, path = make_client(site), find_targets(site)[name]
    page = check_html(client.get(path))
    assert page.xpath("//section[@aria-labelledby='what-happens']//li")
    assert not list_actions(site), "an opened form is not an action"
    [token] = page.xpath("//input[@name='token']/@value")
    done = client.post(path, data={**REASON, "token": token})
    assert done.status_code == 303, done.text
    [action] = list_actions(site)
    assert (action.action, action.author, action.reason, action.via) == (name, "anna", REASON["reason"], "dashboard")
    assert action.result is not None
    assert not action.result.failed
    again = client.post(path, data={**REASON, "token": token})
    assert again.status_code == 303
    assert len(list_actions(site)) == 1
    assert "not done again" in client.get(again.headers["location"]).text
    shown = client.get("/local/activity", params={"id": action.target})
    check_html(shown)
    assert REASON["reason"] in shown.text
    assert client.get("/local/activity.json", params={"author": "anna"}).json()["actions"][0]["id"] == action.id


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("read mode", 403),
        ("no reason", 400),
        ("blank reason", 400),
        ("long reason", 400),
        ("foreign origin", 403),
        ("no login", 401),
    ],
)
def test_an_action_is_refused_at_the_action(failed_night: Path, name: ActionName, change: str, status: int) -> None:
    site = make_site(failed_night, actions=change != "read mode")
    path = find_targets(site)[name]
    client = make_client(site, logged_in=change != "no login")
    reasons = {"no reason": "", "blank reason": "  \t", "long reason": "x" * 501}
    data = {"reason": reasons.get(change, REASON["reason"])}
    headers = {"Sec-Fetch-Site": "cross-site"} if change == "foreign origin" else {}
    response = client.post(path, data=data, headers=headers)
    assert response.status_code == status
    assert not list_actions(site)
    assert not [run for run in site.backend.runs(limit=100) if run.repeats]
    assert not site.backend.store.stop_requests()  # type: ignore[attr-defined]


def test_a_dashboard_of_production_only_reads_unless_it_is_started_with_actions(failed_night: Path) -> None:
    site = make_site(failed_night, actions=False)
    page = make_client(site).get(find_targets(site)["stop"])
    assert "read-only" in page.text
    assert not check_html(page).xpath("//form[@class='action']")


def test_every_action_that_pages_offer_needs_the_right_to_operate() -> None:
    assert {kind.right for kind in ACTIONS.values()} == {"operate"}


def fill(path: str, names: dict[str, str]) -> str:
    """Return a path with names in place of its parameters."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda part: names.get(part[1], "nothing"), path)


READING = ("/preferences", "/infrastructure/check")  # POST pages that change nothing in the environment


def test_no_page_acts_in_read_mode(night: Path, tmp_path: Path) -> None:
    """Every POST of every page is refused or only stores a preference. The IDs of the paths exist."""
    site = make_site(copy_night(night, tmp_path / "a copy"), actions=False)
    client = make_client(site)
    run = next(run for run in site.backend.runs(limit=100) if run.task == "three")
    execution = next(one for one in site.backend.executions() if one.status == "FAILED")
    before = [site.backend.count_runs(), site.backend.count_executions()]
    names = {
        "topic": next(iter(site.catalog.topics)),
        "task": "hello",
        "workflow": "fails",
        "name": "nightly",
        "key": "x",
    }
    for page in PAGES:
        if page.method == "POST" and page.path not in READING:
            id = execution.id if page.path.startswith("/executions") else run.id
            path = fill(page.path, {"id": id, **names})
            response = client.post(f"/local{path}", data={**REASON, "step": "act"})
            assert response.status_code in (400, 403, 404, 409), (page.path, response.status_code)
    assert [site.backend.count_runs(), site.backend.count_executions()] == before
    assert not list_actions(site)


# ── an action of the test's own ───────────────────────────────────────────────────────────────────────────────────


class Acting:
    """A page whose action counts its calls."""

    def __init__(self, by_hand: ByHand = "allow", error: Exception | None = None) -> None:
        self.by_hand = by_hand
        self.error = error
        self.calls = 0

    def propose(self, view: View) -> Proposal:
        task = view.catalog.tasks["hello"]
        object.__setattr__(task, "by_hand", self.by_hand)
        return Proposal("run", "hello", "Run hello", lambda: ["It runs."], self.act, (task,), needs_check=True)

    def act(self, _: Any) -> Done:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return Done("It was requested.", "/local/", ("id-1",))

    def show(self, view: View) -> Any:
        return show_form(view, self.propose(view), title="Run")

    def post(self, view: View) -> Any:
        return perform(view, self.propose(view), title="Run")


@pytest.fixture
def acting(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Acting, httpx.Client]]:
    page = Acting()
    pages = (*PAGES, Page("/act", page.show), Page("/act", page.post, method="POST"))
    monkeypatch.setattr("nightferry.dashboard.app.PAGES", pages)
    client = make_client(site)
    yield page, client
    client.close()


def test_a_check_shows_the_effects_and_is_not_an_action(site: Site, acting: tuple[Acting, httpx.Client]) -> None:
    page, client = acting
    assert "It runs." not in client.get("/local/act").text
    checked = client.post("/local/act", data={**REASON, "step": "check"})
    assert checked.status_code == 200
    assert "It runs." in checked.text
    assert REASON["reason"] in checked.text
    assert (page.calls, list_actions(site)) == (0, [])


@pytest.mark.parametrize(
    ("rule", "confirmation", "status"),
    [
        ("allow", "", 303),
        ("confirm", "", 400),
        ("confirm", "Local", 400),
        ("confirm", "prod", 400),
        ("confirm", "local", 303),
        ("never", "local", 400),
    ],
)
def test_the_declaration_of_a_task_decides(
    site: Site, acting: tuple[Acting, httpx.Client], rule: ByHand, confirmation: str, status: int
) -> None:
    page, client = acting
    page.by_hand = rule
    form = check_html(client.get("/local/act"))
    assert bool(form.xpath("//input[@name='confirmation']")) == (rule == "confirm")
    response = client.post("/local/act", data={**REASON, "confirmation": confirmation})
    assert (response.status_code, page.calls) == (status, int(status == 303))
    assert len(list_actions(site)) == page.calls


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (NightferryError("The queue is full."), 409, "The queue is full."),
        (RuntimeError("SSN 123-45-6789"), 500, "ended by RuntimeError"),
    ],
)
def test_a_failed_action_is_recorded_with_its_error(
    site: Site, acting: tuple[Acting, httpx.Client], error: Exception, status: int, text: str
) -> None:
    page, client = acting
    page.error = error
    assert client.post("/local/act", data={**REASON, "token": "t"}).status_code == status
    [action] = list_actions(site)
    assert action.result is not None
    assert (action.result.failed, action.result.text) == (True, text)
    page.error = None
    if status == 409:
        assert client.post("/local/act", data={**REASON, "token": "t"}).status_code == 303, "nothing had been done"


def test_nothing_is_done_if_the_request_cannot_be_recorded(
    site: Site, acting: tuple[Acting, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("nightferry.local.store.Store.add_action", fail)
    page, client = acting
    assert client.post("/local/act", data=REASON).status_code == 500
    assert page.calls == 0


def test_a_form_that_two_requests_send_at_once_acts_once(site: Site, acting: tuple[Acting, httpx.Client]) -> None:
    page, _ = acting
    responses: list[int] = []

    def send() -> None:
        responses.append(make_client(site).post("/local/act", data={**REASON, "token": "one form"}).status_code)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (page.calls, responses) == (1, [303] * 6)
    assert len(list_actions(site)) == 1


def test_two_redrives_at_once_start_one_run(failed_night: Path) -> None:
    site = make_site(failed_night)
    path = find_targets(site)["redrive-run"]
    client = make_client(site)
    statuses: list[int] = []

    def send() -> None:
        statuses.append(make_client(site).post(path, data=REASON).status_code)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303, 409, 409, 409]
    assert len([run for run in site.backend.runs(limit=100) if run.repeats]) == 1
    assert len(list_actions(site)) == 4, "the refused attempts are recorded too"
    assert "already started again" in client.get("/local/activity").text


def test_a_session_that_acts_too_often_is_refused(site: Site, acting: tuple[Acting, httpx.Client]) -> None:
    page, client = acting
    statuses = [client.post("/local/act", data=REASON).status_code for _ in range(MOST_PER_MINUTE + 3)]
    assert statuses == [303] * MOST_PER_MINUTE + [429] * 3
    assert page.calls == MOST_PER_MINUTE
    assert make_client(site).post("/local/act", data=REASON).status_code == 303, "another session"


def test_the_rate_is_counted_over_a_minute() -> None:
    now = [0.0]
    submissions = Submissions(lambda: now[0])
    assert [submissions.is_within_rate("s") for _ in range(MOST_PER_MINUTE + 1)][-2:] == [True, False]
    now[0] = 61
    assert submissions.is_within_rate("s")


def test_only_the_session_that_acted_sees_the_result_and_no_url_can_forge_one(
    site: Site, acting: tuple[Acting, httpx.Client]
) -> None:
    _, client = acting
    link = client.post("/local/act", data=REASON).headers["location"]
    assert "It was requested." in client.get(link).text
    assert "It was requested." not in make_client(site).get(link).text
    assert 'class="done"' not in client.get("/local/?done=Your+password+has+expired").text


def test_hostile_texts_in_actions_are_shown_as_text(site: Site, acting: tuple[Acting, httpx.Client]) -> None:
    _, client = acting
    client.post("/local/act", data={"reason": "<script>alert(1)</script> \x1b[31m 123-45-6789"})
    shown = client.get("/local/activity")
    check_html(shown)
    assert "&lt;script&gt;" in shown.text
    assert "\x1b" not in shown.text
    assert client.get("/local/activity", params={"action": "nothing"}).status_code == 400


def test_an_action_without_a_result_says_that_it_may_have_happened(site: Site, client: httpx.Client) -> None:
    site.backend.add_action(Action("a", site.clock.now(), "anna", "run", "hello", "", "cli"))
    assert "The action may have happened" in client.get("/local/activity").text


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_shown_with_a_store_that_pages_cannot_change(failed_night: Path, name: ActionName) -> None:
    writing = make_site(failed_night)
    project, environment = writing.project, writing.environment
    site = Site(
        project,
        environment,
        writing.access,
        lambda: LocalBackend(project, environment, read_only=True),
        open_for_actions=lambda: LocalBackend(project, environment),
        author="anna",
    )
    client, path = make_client(site), find_targets(writing)[name]
    assert check_html(client.get(path)).xpath("//section[@aria-labelledby='what-happens']//li")
    assert client.post(path, data=REASON).status_code == 303
    assert client.get("/local/activity.json").json()["actions"][0]["action"] == name
