"""The form that starts a task: its fields, its checks, hostile values, and a run again with other inputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml.html import HtmlElement

from nightferry.backend.runs import RunRequest
from nightferry.dashboard.site import Site
from nightferry.local.backend import LocalBackend
from tests.dashboard.dashboards import check_html, make_client, make_site, read_form, write_project

CATALOG = """
from datetime import date
from typing import Literal
from pydantic import Field, SecretStr
from nightferry import Catalog, Image, Privacy, Secret
from nightferry.job import JobSettings

class LoadSettings(JobSettings):
    since: date = Field(description="First day to load")
    mode: Literal["full", "updates"] = Field(default="full", description="What to load")
    process_id: int = Field(default=1, ge=1, description="Number of the process")
    check: bool = Field(default=False, description="Check the files")
    folder: str = Field(description="Folder")
    regions: list[str] = Field(default=[], description="Regions")
    note: str = Field(default="", description="A note")
    last_name: str = Field(default="", description="Name of a person", repr=False)
    password: SecretStr | None = Field(default=None, description="Password of the database")

catalog = Catalog("shop", image=Image("shop"), privacy=Privacy.STRICT)
catalog.task("load-orders", config=LoadSettings, command=["sh", "-c", 'echo "$SINCE $MODE $*"', "load"],
             required_at_start=["SINCE"], overridable=["PROCESS_ID"], accepts_args=True,
             env={"FOLDER": catalog.setting("folder", default="in"),
                  "PROCESS_ID": catalog.setting("process", default=3)},
             secrets={"PASSWORD": Secret("db/password", optional=True)})
catalog.task("any", command=["sh", "-c", "echo $COLOR"], env={"COLOR": "red"})
"""


class Counting(LocalBackend):
    """A backend whose runs stay queued, and that counts how often an engine was needed."""

    detached = 0

    def detach(self) -> None:
        Counting.detached += 1


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(write_project(tmp_path / "a shop", CATALOG), backend=Counting)


@pytest.fixture
def backend(site: Site) -> Iterator[LocalBackend]:
    backend = LocalBackend(site.project, site.environment)
    yield backend
    backend.store.close()


FORM = "/local/tasks/load-orders/run"


def read_problems(page: HtmlElement) -> dict[str, str]:
    found = page.xpath("//p[@class='entry-problem']")
    return {one.get("id").removesuffix("-problem"): " ".join(one.text_content().split()) for one in found}


def send(client: httpx.Client, url: str, step: str = "check", **fields: str) -> httpx.Response:
    data = {name.replace("set_", "set."): value for name, value in fields.items()}
    return client.post(url, data={**data, "step": step})


def preview_and_start(client: httpx.Client, url: str, data: dict[str, str]) -> httpx.Response:
    page = check_html(client.post(url, data={**data, "step": "check"}))
    return client.post(url, data={**read_form(page), "reason": "A test", "step": "act"})


def find_id(response: httpx.Response) -> str:
    """Return the ID of the run to whose page a response redirects."""
    return response.headers["location"].rpartition("/")[2].partition("?")[0]


def test_the_form_has_a_field_for_each_setting_that_a_start_may_change(client: httpx.Client) -> None:
    page = check_html(client.get(FORM))
    fields = {one["label"]: one for one in client.get(f"{FORM}.json").json()["fields"]}
    assert list(fields) == [
        "SINCE", "MODE", "PROCESS_ID", "CHECK", "REGIONS", "NOTE", "LAST_NAME", "SCHEDULED_AT", "LOGGING_LEVEL",
        "Arguments", "CPU units (1024 = 1 vCPU)", "Memory in MiB",
    ]  # fmt: skip
    assert fields["SINCE"]["required"]
    assert (fields["MODE"]["options"], fields["CHECK"]["options"]) == (["full", "updates"], ["true", "false"])
    assert fields["PROCESS_ID"]["current"] == "3, set by the environment"
    assert fields["MODE"]["current"] == "full"
    text = page.text_content()
    assert "Number of the process. At least 1." in text
    assert "in, set by the environment" in text
    assert "Stored as db/password" in text
    assert not page.xpath("//*[@name='set.PASSWORD' or @name='set.FOLDER']")


def test_a_run_starts_only_after_its_request_was_shown(client: httpx.Client, backend: LocalBackend) -> None:
    data = {"set.SINCE": "2026-11-01", "set.CHECK": "true", "args": "a b\r\n--x\r\n", "cpu": "512", "memory": "1024"}
    early = check_html(client.post(FORM, data={**data, "reason": "A test", "step": "act"}))
    assert '"SINCE": "2026-11-01"' in early.text_content()
    changed = {**read_form(early), "set.MODE": "updates", "reason": "A test", "step": "act"}
    assert "MODE=updates" in check_html(client.post(FORM, data=changed)).text_content()
    unexplained = client.post(FORM, data={**read_form(early), "step": "act", "reason": ""})
    assert "Give a reason" in check_html(unexplained).text_content()
    assert backend.runs().entries == ()
    response = preview_and_start(client, FORM, data)
    (run,) = backend.runs()
    assert (response.status_code, find_id(response)) == (303, run.id)
    assert (run.env, run.args) == ({"SINCE": "2026-11-01", "CHECK": "true"}, ("a b", "--x"))
    assert (run.cpu, run.memory, run.started_by) == (512, 1024, "anna")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"set.SINCE": "Task 'load-orders' requires SINCE at each start."}),
        ({"set_SINCE": "tomorrow"}, {"set.SINCE": "SINCE=tomorrow: Input should be a valid date"}),
        ({"set_SINCE": "2026-11-01", "set_MODE": "all", "set_PROCESS_ID": "0"},
         {"set.MODE": "MODE=all: Input should be 'full' or 'updates'", "set.PROCESS_ID": "PROCESS_ID=0: Input should"}),
        ({"set_SINCE": "2026-11-01", "set_REGIONS": "eu"}, {"set.REGIONS": "REGIONS=eu: use JSON"}),
        ({"set_SINCE": "2026-11-01", "cpu": "512", "memory": "9"}, {"cpu": "Fargate does not offer 512 CPU units"}),
        ({"set_SINCE": "2026-11-01", "memory": "many"}, {"memory": "memory must be a number"}),
        ({"set_SINCE": "2026-11-01", "args": "a\0b"}, {"args": "An argument contains a NUL character"}),
        ({"set_SINCE": "2026-11-01", "set_NOTE": "a\0b"}, {"set.NOTE": "NOTE contains a NUL character"}),
        ({"set_SINCE": "2026-11-01", "set_SCHEDULED_AT": "today"}, {"set.SCHEDULED_AT": "SCHEDULED_AT: use a time"}),
    ],
    ids=lambda value: "-".join(value) or "nothing",
)  # fmt: skip
def test_a_mistake_is_shown_at_its_field_and_starts_nothing(
    client: httpx.Client, backend: LocalBackend, fields: dict[str, str], expected: dict[str, str]
) -> None:
    response = send(client, FORM, "act", **fields)
    found = read_problems(check_html(response))
    assert response.status_code == 400
    assert found.keys() >= expected.keys()
    for name, text in expected.items():
        assert found[name].startswith(text)
    assert backend.runs().entries == ()


def test_other_fields_are_ignored_and_names_of_other_tasks_are_not_found(
    client: httpx.Client, backend: LocalBackend
) -> None:
    data = {"set.SINCE": "2026-11-01", "set.PASSWORD": "hunter2", "set.FOLDER": "x", "set.PATH": "/evil", "task": "any"}
    preview_and_start(client, FORM, data)
    (run,) = backend.runs()
    assert (run.task, run.env) == ("load-orders", {"SINCE": "2026-11-01"})
    for path in ("/local/tasks/nothing/run", "/local/runs/abcdef0123/again", "/local/tasks/%2e%2e/run"):
        assert client.get(path).status_code == 404


HOSTILE = ["</textarea><script>alert(1)</script>", "\x1b[31m", '" onfocus="x', "{{ 7*7 }}", "‮gnp", "é" * 3000]


def test_hostile_values_are_shown_as_text_and_arrive_unchanged(client: httpx.Client, backend: LocalBackend) -> None:
    for value in HOSTILE:
        data = {"set.SINCE": "2026-11-01", "set.NOTE": value, "args": value}
        page = check_html(client.post(FORM, data={**data, "step": "check"}))
        assert len(page.xpath("//script")) == 1  # of the layout
        if not value.isprintable():
            continue  # such a value is not shown, and must be entered again
        response = client.post(FORM, data={**read_form(page), "reason": "A test", "step": "act"})
        run = backend.run(find_id(response))
        assert (run.env["NOTE"], run.args) == (value, (value,))


def test_a_huge_form_is_refused(client: httpx.Client, backend: LocalBackend) -> None:
    many = {f"set.X{n}": "1" for n in range(1000)}
    for data in ({"set.SINCE": "2026-11-01", "args": "x" * 70_000}, many):
        response = client.post(FORM, data={**data, "step": "act"})
        assert response.status_code in {400, 413}
    assert backend.runs().entries == ()


def test_a_form_that_is_sent_twice_starts_one_run(client: httpx.Client, backend: LocalBackend) -> None:
    page = check_html(client.post(FORM, data={"set.SINCE": "2026-11-01", "step": "check"}))
    data = {**read_form(page), "reason": "A test", "step": "act"}
    responses = [client.post(FORM, data=data) for _ in range(3)]
    assert [one.status_code for one in responses] == [303] * 3
    assert len(backend.runs()) == 1
    (action,) = backend.actions()
    assert (action.action, action.target, action.author, action.reason) == ("run", "load-orders", "anna", "A test")
    assert action.result is not None
    assert action.result.ids == (backend.runs()[0].id,)


def test_a_dashboard_that_only_reads_starts_nothing(site: Site, backend: LocalBackend) -> None:
    site.actions = False
    client = make_client(site)
    page = check_html(client.post(FORM, data={"set.SINCE": "2026-11-01", "step": "check"}))
    assert not page.xpath("//button[@name='step']")
    data = {"set.SINCE": "2026-11-01", "reason": "A test", "step": "act"}
    data["previewed"] = page.xpath("string(//input[@name='previewed']/@value)")
    assert client.post(FORM, data=data).status_code in {400, 409}
    assert backend.runs().entries == ()
    client.close()


# ── again ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def add(backend: LocalBackend, **more: Any) -> str:
    env = {"SINCE": "2026-11-01", "NOTE": "a", "LAST_NAME": "Lovelace", **more.pop("env", {})}
    return backend.run_task(RunRequest("load-orders", env=env, started_by="ben", **more))


def test_again_shows_old_and_new_and_keeps_what_is_not_shown(client: httpx.Client, backend: LocalBackend) -> None:
    old = add(backend, args=("one", "two"), cpu=256, memory=512)
    url = f"/local/runs/{old}/again"
    response = client.get(url)
    assert "Lovelace" not in response.text
    data = read_form(check_html(response))
    assert (data["set.SINCE"], data["set.NOTE"], data["set.LAST_NAME"]) == ("2026-11-01", "a", "")
    assert (data["args"], data["cpu"], data["memory"], data["keep.set.LAST_NAME"]) == ("one\ntwo", "256", "512", "yes")
    page = check_html(client.post(url, data={**data, "set.NOTE": "b", "memory": "1024", "step": "check"}))
    assert "Lovelace" not in page.text_content()
    rows = [[cell.text_content().strip() for cell in row.xpath("td")] for row in page.xpath("//tbody/tr")]
    assert ["NOTE changed", "a", "b"] in rows
    assert ["memory changed", "512", "1024"] in rows
    assert ["LAST_NAME", "[hidden]", "[hidden]"] in rows
    response = client.post(url, data={**read_form(page), "reason": "A test", "step": "act"})
    new = backend.run(find_id(response))
    assert new.env == {"SINCE": "2026-11-01", "NOTE": "b", "LAST_NAME": "Lovelace"}
    assert (new.args, new.cpu, new.memory, new.repeats) == (("one", "two"), 256, 1024, old[:28])
    assert backend.find_repeat(old) is None  # it can still be repeated with the same inputs


def test_again_can_drop_or_replace_a_value_that_is_not_shown(client: httpx.Client, backend: LocalBackend) -> None:
    url = f"/local/runs/{add(backend)}/again"
    data = read_form(check_html(client.get(url)))
    del data["keep.set.LAST_NAME"]
    run = backend.run(find_id(preview_and_start(client, url, data)))
    assert "LAST_NAME" not in run.env


def test_arguments_that_a_field_cannot_show_are_kept(client: httpx.Client, backend: LocalBackend) -> None:
    for args in (("two\nlines",), ("--password", "hunter2"), ("",)):
        url = f"/local/runs/{add(backend, args=args)}/again"
        response = client.get(url)
        assert "hunter2" not in response.text
        data = read_form(check_html(response))
        assert (data["args"], data["keep.args"]) == ("", "yes")
        run = backend.run(find_id(preview_and_start(client, url, data)))
        assert run.args == args
