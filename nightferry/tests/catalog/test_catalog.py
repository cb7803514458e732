"""Checks of declarations: each mistake raises an error that names the declaration and its line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, SecretStr

from nightferry import errors
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import BucketPath, Image, Secret, Setting, Task, Topic
from nightferry.catalog.fargate import SIZES, Size
from nightferry.states.builder import ForEach, Retry, RunTask, Steps
from nightferry.states.language.resources import RUN_TASK


class ImportSettings(BaseModel):
    """Imports things."""

    folder_path: str
    batch: int = 10
    key: SecretStr | None = None
    environment: str = "local"


class DatabaseSettings(ImportSettings):
    """Has a database."""

    db_username: str = "jobs"
    db_password: SecretStr | None = None
    database_logins: ClassVar[Any] = {"db_username": "db_password"}

    def connect(self) -> None: ...


class Undeclared(ImportSettings):
    """Has a database, but does not declare its users."""

    def connect(self) -> None: ...


def with_logins(**logins: str) -> type[DatabaseSettings]:
    return type("Settings", (DatabaseSettings,), {"database_logins": logins, "__annotations__": {}})


def make_catalog() -> Catalog:
    catalog = Catalog("app", image=Image("app"))
    catalog.bucket("inbox")
    return catalog


ENV = {"FOLDER_PATH": "x"}


def task(catalog: Catalog, name: str = "b", **more: Any) -> Task:
    return catalog.task(name, **({"command": [name], "config": ImportSettings, "env": ENV} | more))


NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def schedule(catalog: Catalog, expression: str | Setting, **more: Any) -> None:
    catalog.schedule("s", catalog.tasks["a"], expression, **more)


def test_a_task_has_defaults() -> None:
    catalog = make_catalog()
    task = catalog.task(
        "import-things",
        command=["import-things"],
        config=ImportSettings,
        env={"FOLDER_PATH": catalog.buckets["inbox"] / "in"},
    )
    assert task.command == ("import-things",)
    assert task.description == "Imports things."
    assert task.env == {"FOLDER_PATH": "${bucket:inbox}/in"}
    assert task.size == Size(1024, 2048)
    assert task.time_limit == timedelta(hours=1)
    assert task.declared_in.startswith("tests/catalog/test_catalog.py:")
    assert catalog.tasks == {"import-things": task}


def test_a_lease_is_in_the_jobs_database_or_else_in_the_catalogs_folder() -> None:
    catalog = Catalog("app", image=Image("app"), leases=BucketPath("inbox", "leases"))
    catalog.bucket("inbox")
    assert catalog.task("with", command=["with"], config=DatabaseSettings, env=ENV, overlap="skip").lease == "database"
    assert (
        catalog.task("without", command=["without"], config=ImportSettings, env=ENV, overlap="skip").lease
        == "${bucket:inbox}/leases"
    )


@pytest.mark.parametrize("config", [DatabaseSettings, ImportSettings])
def test_a_task_whose_runs_may_overlap_has_no_lease(config: type[BaseModel]) -> None:
    catalog = Catalog("app", image=Image("app"), leases=BucketPath("inbox", "leases"))
    catalog.bucket("inbox")
    assert catalog.task("work", command=["work"], config=config, env=ENV, overlap="allow").lease is None


SEND = "arn:aws:states:::sqs:sendMessage"


def asl(state: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": "S", "States": {"S": state}}


def test_a_workflow_can_be_declared_by_its_definition() -> None:
    catalog = make_catalog()
    task(catalog, "a")
    catalog.function("score", local="jobs.score:score", arn=catalog.setting("score_arn"))
    catalog.resource(SEND, local="jobs.queue:send", actions=["sqs:SendMessage"])
    run = {"Type": "Task", "Resource": RUN_TASK, "Parameters": {"TaskDefinition": "${task:a}"}, "End": True}
    definition = asl(run)

    first = catalog.workflow("first", definition, description="Runs a.")
    start = {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync"}
    machine = {"StateMachineArn": "${workflow:first}"}
    second = catalog.workflow("second", asl({**start, "Parameters": machine, "End": True}))

    assert first.tasks == ("a",)
    assert first.definition == {"Comment": "Runs a.", **definition}
    assert second.tasks == ()


@pytest.mark.parametrize(
    ("error", "words", "declare"),
    [
        (errors.DuplicateName, ["task 'a'", "already used"], lambda c: task(c, "a")),
        (errors.InvalidName, ["lowercase"], lambda c: task(c, "A_b")),
        (errors.InvalidName, ["40"], lambda c: c.bucket("b" * 41)),
        (errors.ImpossibleSize, ["1024 CPU units with 1024 MiB", "512/1024"], lambda c: task(c, size=Size(1024, 1024))),
        (errors.ImpossibleSize, ["does not offer 300"], lambda c: task(c, size=Size(300, 1024))),
        (errors.MissingSetting, ["ImportSettings requires FOLDER_PATH"], lambda c: task(c, env={})),
        (errors.UnknownSetting, ["no setting BACH", "Did you mean BATCH"], lambda c: task(c, env=ENV | {"BACH": 1})),
        (errors.InvalidSetting, ["BATCH = 'many'"], lambda c: task(c, env=ENV | {"BATCH": "many"})),
        (errors.InvalidSetting, ["KEY is a secret"], lambda c: task(c, env=ENV | {"KEY": "x"})),
        (errors.UnknownSetting, ["no setting PASSWORD"], lambda c: task(c, secrets={"PASSWORD": Secret("p")})),
        (
            errors.UnknownReference,
            ["bucket 'outbox'"],
            lambda c: task(c, env={"FOLDER_PATH": BucketPath("outbox", "x")}),
        ),
        (errors.UnknownReference, ["topic 'alarms'"], lambda c: task(c, grants=[Topic("alarms").publish()])),
        (errors.UnknownReference, ["location for the lease"], lambda c: task(c, overlap="skip")),
        (errors.InvalidSchedule, ["5 fields"], lambda c: schedule(c, "cron(0 9 * * ?)")),
        (errors.InvalidSchedule, ["America/New_York"], lambda c: schedule(c, "rate(1 hour)", timezone="EST5")),
        (
            errors.InvalidSchedule,
            ["supports only UTC"],
            lambda c: schedule(c, "rate(1 hour)", timezone="Europe/Berlin", via="rule"),
        ),
        (
            errors.InvalidSchedule,
            ["need a time zone"],
            lambda c: schedule(c, "rate(1 hour)", start=datetime(2027, 1, 1)),
        ),
        (
            errors.InvalidSchedule,
            ["end must be later than start"],
            lambda c: schedule(c, "rate(1 hour)", start=NEW_YEAR, end=NEW_YEAR),
        ),
        (errors.InvalidSchedule, ["ignores"], lambda c: schedule(c, "at(2027-01-01T00:00:00)", end=NEW_YEAR)),
        (errors.InvalidSchedule, ["no start"], lambda c: schedule(c, "rate(1 hour)", end=NEW_YEAR, via="rule")),
        (
            errors.InvalidSetting,
            ["Undeclared has a method connect", "database_logins"],
            lambda c: task(c, config=Undeclared),
        ),
        (
            errors.InvalidSetting,
            ["'db_user'", "not a setting in env"],
            lambda c: task(c, config=with_logins(db_user="db_password")),
        ),
        (
            errors.InvalidSetting,
            ["'db_username'", "not a setting in env"],
            lambda c: task(c, config=DatabaseSettings, secrets={"DB_USERNAME": Secret("user")}),
        ),
        (
            errors.InvalidSetting,
            ["'folder_path'", "SecretStr"],
            lambda c: task(c, config=with_logins(db_username="folder_path")),
        ),
        (
            errors.InvalidSetting,
            ["bucket 'inbox'", "'a${b}/*'", "variable"],
            lambda c: task(c, grants=[c.buckets["inbox"].read("a${b}/*")]),
        ),
        (errors.InvalidSetting, ["concurrency = 0"], lambda c: task(c, concurrency=0)),
        (errors.InvalidSetting, ["attempts = 0", "between 1 and 10"], lambda c: task(c, retry=Retry(attempts=0))),
        (errors.InvalidSetting, ["attempts = 11"], lambda c: task(c, retry=Retry(attempts=11))),
        (errors.InvalidSetting, ["interval = 0"], lambda c: task(c, retry=Retry(interval=0))),
        (errors.InvalidSetting, ["backoff = 0.5"], lambda c: task(c, retry=Retry(backoff=0.5))),
        (errors.InvalidSetting, ["exceeds a day"], lambda c: task(c, retry=Retry(3, 3600, 6))),
        (errors.InvalidSetting, ["errors", "remove them"], lambda c: task(c, retry=Retry(errors=("States.ALL",)))),
        (errors.InvalidSchedule, ["exactly one"], lambda c: schedule(c, Setting("when", "cron(0 9 * * * *)"))),
        (errors.UnknownSetting, ["no setting FOO"], lambda c: schedule(c, "rate(1 hour)", env={"FOO": 1})),
        (
            errors.UnknownReference,
            ["task 'c'", "Declared: a"],
            lambda c: c.schedule("s", task(make_catalog(), "c"), "rate(1 hour)"),
        ),
        (
            errors.UnknownReference,
            ["task 'c'", "Declared: a"],
            lambda c: c.object_trigger("t", task(make_catalog(), "c"), bucket=c.buckets["inbox"]),
        ),
        (
            errors.UnknownReference,
            [
                "another bucket of the name 'inbox'",
                "catalog.bucket('inbox', …) returned",
            ],  # the bucket of another catalog, with the same name
            lambda c: c.object_trigger("t", c.tasks["a"], bucket=make_catalog().buckets["inbox"]),
        ),
        (
            errors.UnknownReference,
            ["not a kind", "bukket"],
            lambda c: task(c, env={"FOLDER_PATH": "${bukket:inbox}/x"}),
        ),
        (errors.UnknownReference, ["bucket 'outbox'"], lambda c: task(c, command=["ls", "${bucket:outbox}/x"])),
        (errors.MissingSetting, ["FOLDER_PATH"], lambda c: task(c, env={"FOLDER_PATH_SSM_PATH": "/a/path"})),
        (errors.InvalidSetting, ["at least one second"], lambda c: task(c, time_limit=timedelta(0))),
        (errors.InvalidSetting, ["overlap = 'wait'", "'queue'"], lambda c: task(c, overlap="wait")),
        (errors.InvalidSetting, ["by_hand = 'no'", "'never'"], lambda c: task(c, by_hand="no")),
        (errors.InvalidSetting, ["catch_up"], lambda c: schedule(c, "rate(1 hour)", catch_up="never")),
        (errors.InvalidWorkflow, ["at least one step"], lambda c: c.workflow("w", Steps())),
        (errors.InvalidWorkflow, ["$.States.S", "Next"], lambda c: c.workflow("w", asl({"Type": "Pass"}))),
        (
            errors.InvalidWorkflow,
            ["$.States.S.Resource", "'arn:aws:states:::sqs:sendMessage'", "catalog.resource("],
            lambda c: c.workflow("w", asl({"Type": "Task", "Resource": SEND, "End": True})),
        ),
        (
            errors.InvalidWorkflow,
            ["timeout cannot be used with a definition"],
            lambda c: c.workflow("w", asl({"Type": "Succeed"}), timeout=timedelta(hours=1)),
        ),
        (
            errors.UnknownReference,
            ["workflow 'w'", "does not declare"],  # a workflow that starts itself would never end
            lambda c: c.workflow("w", asl({"Type": "Pass", "Result": "${workflow:w}", "End": True})),
        ),
        (errors.InvalidWorkflow, ["package.module:callable"], lambda c: c.resource(SEND, local="send")),
        (errors.InvalidWorkflow, ["integration"], lambda c: c.resource("sqs:send", local="a:b")),
        (
            errors.InvalidWorkflow,
            ["built in"],
            lambda c: c.resource("arn:aws:states:::sns:publish", local="a:b"),
        ),
        (errors.DuplicateName, [SEND], lambda c: [c.resource(SEND, local="a:b") for _ in range(2)]),
    ],
)
def test_a_mistake_is_rejected_at_declaration(
    error: type[errors.DeclarationError], words: list[str], declare: Callable[[Catalog], object]
) -> None:
    catalog = make_catalog()
    task(catalog, "a")
    with pytest.raises(error) as caught:
        declare(catalog)
    for word in words:
        assert word in str(caught.value)
    assert "tests/catalog/test_catalog.py:" in caught.value.location


@pytest.mark.parametrize(
    ("one", "other", "rejected"),
    [
        (("in/", ""), ("in/sub", ""), True),
        (("in/", ".csv"), ("in/", ".json"), False),
        (("in/", "jpg"), ("in/", "pg"), True),
        (("", ".csv"), ("in/", ""), True),
        (("in/a", ""), ("in/b", ""), False),
    ],
)
def test_triggers_overlap_by_s3s_rules(one: tuple[str, str], other: tuple[str, str], rejected: bool) -> None:
    catalog = make_catalog()
    target = task(catalog, "a")
    inbox = catalog.buckets["inbox"]
    catalog.object_trigger("one", target, bucket=inbox, prefix=one[0], suffix=one[1])
    catalog.object_trigger("free", target, bucket=inbox, via="eventbridge")
    if rejected:
        with pytest.raises(errors.OverlappingTriggers, match="trigger 'one'"):
            catalog.object_trigger("other", target, bucket=inbox, prefix=other[0], suffix=other[1])
    else:
        catalog.object_trigger("other", target, bucket=inbox, prefix=other[0], suffix=other[1])


@pytest.mark.parametrize(
    ("bucket", "prefix", "suffix", "rejected"),
    [
        ("inbox", "", "", True),
        ("inbox", "state/", ".json", True),
        ("inbox", "state/results/load/", "", True),
        ("inbox", "", "7.lease", True),
        ("inbox", "", ".csv", False),
        ("inbox", "in/", "", False),
        ("inbox", "state/results2", "", False),
        ("other", "", "", False),
    ],
)
def test_a_trigger_for_results_or_leases_would_start_runs_without_end(
    bucket: str, prefix: str, suffix: str, rejected: bool
) -> None:
    state = BucketPath("inbox", "state")
    catalog = Catalog("app", image=Image("app"), results=state / "results", leases=state / "leases/")
    buckets = {name: catalog.bucket(name) for name in ("inbox", "other")}
    target = catalog.task("a", command=["a"])
    with (
        pytest.raises(errors.EndlessTrigger, match="which are stored in the folder state/")
        if rejected
        else nullcontext()
    ):
        catalog.object_trigger("arrived", target, bucket=buckets[bucket], prefix=prefix, suffix=suffix)


def test_a_secret_can_be_supplied_as_its_parameters_path() -> None:
    task(make_catalog(), env=ENV | {"KEY_SSM_PATH": "/a/path"})


def test_a_setting_can_be_declared_in_a_workflow() -> None:
    catalog = make_catalog()
    catalog.workflow("w", Steps(RunTask(task(catalog), env={"BATCH": Setting("batch", "20")})))
    assert catalog.settings["batch"].default == "20"


@pytest.mark.parametrize(
    ("cpu", "memory", "problem"),
    [
        (32768, 61440, None),
        (32768, 249856, None),
        (32768, 65536, "32768 CPU units are available with 61440, 122880 or 249856 MiB."),
        (256, 4096, "256 CPU units are available with 512, 1024 or 2048 MiB."),
        (16384, 61440, "16384 CPU units are available with 32768 to 122880 MiB in steps of 8192."),
        (65536, 249856, "It offers 256, 512, 1024, 2048, 4096, 8192, 16384, 32768."),
    ],
)
def test_sizes_of_fargate(cpu: int, memory: int, problem: str | None) -> None:
    """The values are those of the ECS guide, "Task definition parameters for Fargate"."""
    found = Size(cpu, memory).find_problem()
    assert found is None if problem is None else problem in str(found)


def test_every_size_of_fargate_is_accepted() -> None:
    for cpu, memories in SIZES.items():
        for memory in memories:
            assert Size(cpu, memory).find_problem() is None
            assert Size(cpu, memory + 1).find_problem() is not None


@pytest.mark.parametrize("via", ["lambda", "eventbridge"])
def test_an_object_trigger_can_start_a_workflow(via: Literal["lambda", "eventbridge"]) -> None:
    catalog = make_catalog()
    work = task(catalog)
    flow = catalog.workflow("flow", RunTask(work))
    trigger = catalog.object_trigger("two", flow, bucket=catalog.buckets["inbox"], via=via)
    assert (trigger.kind, trigger.target) == ("workflow", "flow")


@pytest.mark.parametrize("items", ["$.regions", b"ab", {"eu": 1}, 3])
def test_items_that_are_no_list_are_refused(items: Any) -> None:
    catalog = Catalog("app", image=Image("app"))
    work = catalog.task("work", command=["work"])
    with pytest.raises(errors.InvalidWorkflow, match=r"the items of ForEach are .*, which is not a list") as refused:
        catalog.workflow("each", Steps(ForEach(items, RunTask(work))))
    assert "workflow 'each', declared in tests/catalog/test_catalog.py:" in str(refused.value)
