"""Values of a workflow are checked against the tasks that use and supply them when the workflow is declared."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from nightferry import (
    OBJECT_VARIABLES,
    Bucket,
    Catalog,
    Choose,
    ForEach,
    Format,
    Image,
    Input,
    Item,
    Notify,
    Output,
    RunTask,
    Steps,
    Task,
    When,
)
from nightferry.backend.request_checks import InvalidInput, check_input
from nightferry.contract import Privacy
from nightferry.errors import DeclarationError, InvalidWorkflow, MissingInput, MissingSetting, UnknownSetting

SETTINGS = """
from pydantic import Field
from nightferry import JobSettings

class Settings(JobSettings):
    region: str = Field(description="Region")
    count: int = Field(default=1, description="Count")
"""
TYPES = """
raise RuntimeError("the catalog imported the types of results")
from typing import NotRequired, TypedDict
from pydantic import BaseModel

class Base(TypedDict):
    rows: int

class Loaded(Base, total=False):
    keys: NotRequired[list[str]]
    region: str | None
    full: bool

class Model(BaseModel):
    rows: int

class Unknown(Missing):
    rows: int
"""
JOBS = """
import acme_flow.heavy
from dataclasses import dataclass
from acme_flow import types
from acme_flow.settings import Settings
from acme_flow.types import Loaded, Unknown
from nightferry import Run, background_task

@dataclass
class Data:
    rows: int
    parts: "dict[str, int]"
"""
RETURNS = {
    "typed": "-> Loaded", "optional": "-> Loaded | None", "text": '-> "Loaded"', "model": "-> types.Model",
    "data": "-> Data", "unknown": "-> Unknown", "plain": "-> dict[str, int]", "open": "",
    "nothing": "-> None", "never": "-> 'NoReturn'",
}  # fmt: skip
BODIES = {"open": "return {}"}


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    root = tmp_path_factory.mktemp("project")
    package = root / "acme_flow"
    package.mkdir()
    jobs = JOBS
    for name, returns in {**RETURNS, "silent": "", "inner": ""}.items():
        body = BODIES.get(name, "...")
        if name == "inner":
            body = "def own():\n        return 3\n    return"
        jobs += f'\n@background_task("{name}", Settings)\ndef {name}(settings, run){returns}:\n    {body}\n'
    for module, text in {"__init__": "", "settings": SETTINGS, "types": TYPES, "jobs": jobs}.items():
        (package / f"{module}.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root)
        yield
    for name in [name for name in sys.modules if name.startswith("acme_flow")]:
        del sys.modules[name]


class World:
    """A catalog with a task for each kind of result."""

    def __init__(self) -> None:
        self.catalog = Catalog("app", image=Image("app"), results=Bucket("files") / "results")
        self.catalog.bucket("files")
        self.topic = self.catalog.topic("people")
        self.command = self.catalog.task("command", command=["echo"], accepts_args=True, overridable=["A", "B"])

    def task(self, name: str) -> Task:
        if name not in self.catalog.tasks:
            self.catalog.task(name, main=f"acme_flow.jobs:{name}", env={"REGION": "eu"})
        return self.catalog.tasks[name]

    def use(self, name: str, *members: str) -> None:
        """Declare a workflow whose second step reads a member of the first one's result."""
        task = self.task(name)
        self.catalog.workflow("flow", Steps(RunTask(task), RunTask(self.command, args=[Output(task, *members)])))


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("name", "member"),
    [
        *(("typed", member) for member in ("rows", "region", "full")),
        *((name, "rows") for name in ("optional", "text", "model", "data", "unknown", "plain", "open")),
        *((name, "anything") for name in ("unknown", "plain", "open")),
    ],
)
def test_a_member_that_main_returns(world: World, name: str, member: str) -> None:
    world.use(name, member)
    assert world.catalog.workflows["flow"].results == (name,)
    assert world.catalog.stores_result(name)
    assert "acme_flow.types" not in sys.modules


@pytest.mark.parametrize(
    ("name", "member", "message"),
    [
        ("typed", "row", "acme_flow.jobs:typed returns Loaded, which has no member 'row'. Did you mean 'rows'?"),
        ("typed", "x", "which has no member 'x'. Members: full, keys, region, rows."),
        *((name, "x", "has no member 'x'") for name in ("optional", "text", "model", "data")),
        *((name, "rows", f"acme_flow.jobs:{name} returns nothing") for name in ("nothing", "never", "silent", "inner")),
        (
            "typed",
            "keys",
            "Output('typed', 'keys'): it is a list, and not a text. Use Output('typed', 'keys').as_json().",
        ),
        ("data", "parts", "it is an object, and not a text"),
    ],
)
def test_a_member_that_main_does_not_return(world: World, name: str, member: str, message: str) -> None:
    with pytest.raises(InvalidWorkflow) as refused:
        world.use(name, member)
    assert message in str(refused.value)
    assert str(refused.value).startswith("workflow 'flow', declared in tests/catalog/test_workflow_values.py:")
    assert not world.catalog.workflows


@pytest.mark.parametrize(
    ("privacy", "member", "kind"),
    [
        *(("strict", member, "personal data or a secret") for member in ("name", "employerName", "ssn", "api_key")),
        *(("secrets-only", member, "a secret") for member in ("password", "api_key", "authToken")),
    ],
)
def test_a_member_that_redaction_hides_is_refused(world: World, privacy: Privacy, member: str, kind: str) -> None:
    world.catalog.privacy = Privacy(privacy)
    with pytest.raises(InvalidWorkflow) as refused:
        world.use("open", "people", member)
    assert f"'{member}' is the name of {kind}" in str(refused.value)
    assert "acme_flow.jobs:open would fail when it returns it. Return a key, a count" in str(refused.value)
    assert not world.catalog.workflows


@pytest.mark.parametrize(
    ("privacy", "member"),
    [("secrets-only", "name"), ("secrets-only", "max_tokens"), ("strict", "file_name"), ("strict", "rows")],
)
def test_a_member_that_redaction_shows_is_accepted(world: World, privacy: str, member: str) -> None:
    world.catalog.privacy = Privacy(privacy)
    world.use("open", member)


Make = Callable[[World, Task], Any]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda world, typed: Choose(When(Output(typed, "rows") == "3", RunTask(world.command))), "is a number, so"),
        (lambda world, typed: Choose(When(Output(typed, "region") > 3, RunTask(world.command))), "is a text, so"),
        (lambda world, typed: Choose(When(Output(typed, "full") == 1, RunTask(world.command))), "is a Boolean, so"),
        (lambda world, typed: ForEach(Output(typed, "rows"), RunTask(world.command)), "is a number, and not the list"),
        (lambda world, typed: RunTask(world.command, args=[Format("{}", Output(typed, "keys"))]), "and not a text"),
        (lambda world, typed: RunTask(world.command, args=[Output(typed)]), "it is an object, and not a text"),
        (lambda world, typed: Notify(world.topic, message=Output(typed, "keys")), "it is a list, and not a text"),
    ],
)  # fmt: skip
def test_a_use_that_does_not_fit_the_type(world: World, make: Make, message: str) -> None:
    typed = world.task("typed")
    with pytest.raises(InvalidWorkflow, match=message):
        world.catalog.workflow("flow", Steps(RunTask(typed), make(world, typed)))


def test_uses_that_fit_the_type(world: World) -> None:
    typed = world.task("typed")
    conditions = (Output(typed, "rows") > 3.5) & (Output(typed, "full") == True) & (Output(typed, "region") == None)  # noqa: E711, E712
    each = ForEach(Output(typed, "keys"), RunTask(world.command, args=[Item(), Output(typed, "keys").as_json()]))
    world.catalog.workflow("flow", Steps(RunTask(typed), Choose(When(conditions, each))))


def test_the_result_of_a_command_is_refused(world: World) -> None:
    step = RunTask(world.command)
    with pytest.raises(InvalidWorkflow, match="the task has no main, so that it returns nothing"):
        world.catalog.workflow("flow", Steps(step, RunTask(world.command, args=[Output(step, "x")])))


def test_errors_of_the_builder_name_the_workflow(world: World) -> None:
    with pytest.raises(
        InvalidWorkflow, match=r"^workflow 'flow', declared in tests/catalog/.*: Item\(\) is used outside"
    ):
        world.catalog.workflow("flow", RunTask(world.command, args=[Item()]))


def test_values_supply_settings_and_their_names_are_checked(world: World) -> None:
    task = world.catalog.task("plain", main="acme_flow.jobs:plain", env={"REGION": "eu"})
    world.catalog.workflow("one", RunTask(task, env={"COUNT": Input("count"), "REGION": Input("region")}))
    world.catalog.workflow("object", RunTask(task, env=OBJECT_VARIABLES))
    with pytest.raises(UnknownSetting, match=r"Settings has no setting REGIO\. Did you mean REGION\?"):
        world.catalog.workflow("two", RunTask(task, env={"REGIO": Input("x")}))
    with pytest.raises(MissingSetting, match="requires REGION"):
        world.catalog.task("open", main="acme_flow.jobs:open")


def test_computed_arguments_supply_what_a_task_requires_at_its_start(world: World) -> None:
    task = world.catalog.task("plain", main="acme_flow.jobs:plain", required_at_start=["REGION", "COUNT"])
    each = ForEach(["eu"], RunTask(task, args=["--region", Item()], env={"COUNT": Input("count")}))
    world.catalog.workflow("both", each)
    with pytest.raises(MissingSetting, match="requires COUNT at each start, and state 'plain' does not supply it"):
        world.catalog.workflow("one", ForEach(["eu"], RunTask(task, args=["--region", Item()])))


def test_a_workflow_does_not_pass_its_object_to_a_task_by_itself(world: World) -> None:
    task = world.catalog.task("hello", command=["true"], required_at_start=["S3_URI", "SCHEDULED_AT"])
    world.catalog.workflow("passed", RunTask(task, env=OBJECT_VARIABLES))
    with pytest.raises(MissingSetting, match="requires S3_URI at each start, and state 'hello' does not supply it"):
        world.catalog.workflow("forgotten", RunTask(task))


def test_a_schedule_or_trigger_supplies_what_the_workflow_reads(world: World) -> None:
    catalog, bucket = world.catalog, world.catalog.buckets["files"]

    def flow(name: str, **env: object) -> Any:
        return catalog.workflow(name, RunTask(world.command, env=env))

    catalog.schedule("a", flow("a", A=Input("scheduled_at"), B=Input("b", default=1)), "rate(1 day)")
    catalog.object_trigger("a", flow("b", **OBJECT_VARIABLES), bucket=bucket, prefix="in/")
    with pytest.raises(
        MissingInput, match=r"^schedule 'c', .*: Workflow 'c' reads key of its input, but a schedule supp"
    ):
        catalog.schedule("c", flow("c", A=Input("key")), "rate(1 day)")
    with pytest.raises(MissingInput, match=r"Give it a default: Input\('day', default=…\)"):
        catalog.object_trigger("d", flow("d", A=Input("day", "x"), B=Input("key")), bucket=bucket, prefix="in/")
    with pytest.raises(
        InvalidInput, match=r"reads day of its input. Pass it with --input '\{\"day\": …, \"key\": …\}'"
    ):
        check_input(catalog.workflows["d"], {"key": 1})
    check_input(catalog.workflows["d"], {"key": 1, "day": None})


def test_an_input_has_only_members_that_the_workflow_reads(world: World) -> None:
    def check(env: Mapping[str, object], input: Any) -> None:
        catalog = Catalog("x", image=Image("x"))
        check_input(
            catalog.workflow("w", RunTask(catalog.task("t", command=["t"], overridable=["A", "B"]), env=env)), input
        )

    reads = {"A": Input("region"), "B": Input("limit", default=3)}
    for input in ({"region": 1}, {"region": 1, "limit": 2}, {"region": 1, "scheduled_at": "x", "key": "y"}):
        check(reads, input)
    check({"A": Input().as_json()}, {"anything": 1})
    check({"A": Input().as_json()}, [1])
    for env, input, message in (
        (reads, {"region": 1, "limt": 2}, r"^Workflow 'w' does not read 'limt' of its input. Did you mean limit\?$"),
        (reads, {"region": 1, "x\n": 2, "y": 3}, r"does not read 'x\\n', 'y' of its input. It reads: limit, region.$"),
        ({}, {"day": 1}, r"does not read 'day' of its input. It reads: nothing.$"),
        ({}, [], r"^The input of workflow 'w' is not an object"),
        (reads, "text", r"reads region of its input"),
    ):
        with pytest.raises(InvalidInput, match=message):
            check(env, input)


def test_a_workflow_that_may_read_any_member_accepts_any_input(world: World) -> None:
    rule = {"Variable": "$.day", "IsPresent": True}
    chooses = world.catalog.workflow("chooses", Choose(When(rule, RunTask(world.command))))
    defined = world.catalog.workflow("defined", {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    for workflow in (chooses, defined):
        check_input(workflow, {"day": 1})


def test_every_declaration_error_is_raised_before_anything_is_declared(world: World) -> None:
    with pytest.raises(DeclarationError):
        world.catalog.workflow(
            "flow", ForEach(Input("x"), RunTask(world.command, timeout=timedelta(0), args=[Output(world.command)]))
        )
    assert not world.catalog.workflows
