"""Values that only a start supplies: declared, refused where they are missing, and checked by the settings class."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Any, Self

import pytest
from pydantic import Field, SecretStr, field_validator, model_validator

from nightferry import errors
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.checks import find_value_problem
from nightferry.catalog.declarations import Image, Secret, Task
from nightferry.catalog.start_values import find_value_problems
from nightferry.contract import format_value
from nightferry.job import JobSettings
from nightferry.states.builder import RUN_TASK, RunTask, Steps


class Mode(Enum):
    FULL = "full"
    UPDATES = "updates"


class LoadSettings(JobSettings):
    """Load orders."""

    since: date = Field(description="First day")
    until: date | None = Field(default=None, description="Last day")
    mode: Mode = Field(default=Mode.FULL, description="What to load")
    regions: list[str] = Field(default=[], description="Regions")
    name: str = Field(default="", description="A name", max_length=5)
    code: str = Field(default="", description="A code", repr=False)
    threads: int = Field(default=1, ge=1, description="Threads")
    url: str = Field(default="", description="A URL")
    password: SecretStr | None = Field(default=None, description="Password")

    @field_validator("code")
    @classmethod
    def _check_code(cls, code: str) -> str:
        if code.startswith("x"):
            raise ValueError(f"{code} must not start with x")
        return code

    @model_validator(mode="after")
    def _check_period(self) -> Self:
        if self.until is not None and self.until < self.since:
            raise ValueError("until is before since")
        return self


def make_catalog(**more: Any) -> tuple[Catalog, Task]:
    catalog = Catalog("app", image=Image("app"))
    catalog.bucket("inbox")
    options = {"command": ["load"], "config": LoadSettings, "required_at_start": ["SINCE"], **more}
    return catalog, catalog.task("load", **options)


def raw(*names: str, **more: Any) -> dict[str, Any]:
    """Return a definition whose state sets variables of the task."""
    override = {"Name": "load", "Environment": [{"Name": name, "Value": "2026-11-01"} for name in names], **more}
    parameters = {
        "Cluster": "${cluster}",
        "TaskDefinition": "${task:load}",
        "Overrides": {"ContainerOverrides": [override]},
    }
    return {
        "StartAt": "A",
        "States": {"A": {"Type": "Task", "Resource": RUN_TASK, "Parameters": parameters, "End": True}},
    }


DAY = {"SINCE": "2026-11-01"}

SUPPLIED: list[Callable[[Catalog, Task], object]] = [
    lambda c, t: c.schedule("s", t, "rate(1 day)", env=DAY),
    lambda c, t: c.schedule("s", t, "rate(1 day)", args=["--since=2026-11-01"]),
    lambda c, t: c.schedule("s", t, "rate(1 day)", args=["--since", "2026-11-01"]),
    lambda c, t: c.workflow("w", Steps(RunTask(t, env=DAY))),
    lambda c, t: c.workflow("w", raw("SINCE")),
    lambda c, t: c.workflow("w", raw(**{"Command": ["--since=2026-11-01"]})),
    lambda c, t: c.workflow("w", raw(**{"Command.$": "$.command"})),
    lambda c, t: c.workflow("w", raw("MODE", **{"Command.$": "$.command"})),
]

REFUSED: list[tuple[str, Callable[[Catalog, Task], object]]] = [
    ("schedule 's'", lambda c, t: c.schedule("s", t, "rate(1 day)")),
    ("schedule 's'", lambda c, t: c.schedule("s", t, "rate(1 day)", args=["--sincerely=1"])),
    ("object trigger 'o'", lambda c, t: c.object_trigger("o", t, bucket=c.buckets["inbox"])),
    ("workflow 'w'", lambda c, t: c.workflow("w", Steps(RunTask(t, env={"MODE": "full"})))),
    ("workflow 'w'", lambda c, t: c.workflow("w", raw("MODE"))),
]


def test_a_start_that_supplies_the_value_is_accepted() -> None:
    for declare in SUPPLIED:
        declare(*make_catalog())


def test_a_start_that_cannot_supply_the_value_is_refused_with_its_place() -> None:
    for declaration, declare in REFUSED:
        catalog, task = make_catalog()
        with pytest.raises(errors.MissingSetting) as refused:
            declare(catalog, task)
        assert str(refused.value).startswith(f"{declaration}, declared in tests/catalog/test_start_values.py:")
        assert f"Task 'load' ({task.declared_in}) requires SINCE at each start" in str(refused.value)


def test_schedules_and_triggers_supply_their_own_variables() -> None:
    class Started(JobSettings):
        s3_uri: str = Field(description="Location of the file")
        scheduled_at: str = Field(default="", description="Time")

    catalog, _ = make_catalog()
    by_object = catalog.task("by-object", command=["x"], config=Started, required_at_start=["S3_URI"])
    by_schedule = catalog.task("by-time", command=["x"], required_at_start=["SCHEDULED_AT"])
    catalog.object_trigger("o", by_object, bucket=catalog.buckets["inbox"])
    catalog.schedule("s", by_schedule, "rate(1 day)")
    with pytest.raises(errors.MissingSetting, match="S3_URI"):
        catalog.schedule("t", by_object, "rate(1 day)")
    with pytest.raises(errors.MissingSetting, match="SCHEDULED_AT"):
        catalog.object_trigger("p", by_schedule, bucket=catalog.buckets["inbox"], prefix="p/", via="eventbridge")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"required_at_start": ["SINC"]}, "required_at_start has SINC: LoadSettings has no such setting"),
        ({"required_at_start": ["SINCE", "PASSWORD"]}, "required_at_start has PASSWORD: a secret"),
        ({"env": DAY}, "required_at_start has SINCE: the task already supplies it"),
        ({"secrets": {"SINCE": Secret("s")}}, "required_at_start has SINCE: the task already supplies it"),
        ({"required_at_start": []}, "LoadSettings requires SINCE. .* belongs in required_at_start"),
    ],
)
def test_a_wrong_declaration_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.DeclarationError, match=f"task 'load', declared in tests/catalog/.*{message}"):
        make_catalog(**more)


def test_a_setting_named_like_an_option_of_run_is_refused() -> None:
    for name in ("env", "detach", "cpu", "dry_run"):
        config = type("Odd", (JobSettings,), {"__annotations__": {name: str}, name: Field("", description="x")})
        with pytest.raises(errors.InvalidSetting, match=rf"task 'load', .*Odd has the setting {name}, but --"):
            make_catalog(config=config, required_at_start=[])


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"SINCE": "2026-11-01", "REGIONS": '["eu", "us"]', "MODE": "updates", "NAME": "[1]", "CODE": "a"}, None),
        ({"THREADS": ""}, None),
        ({"SINCE": "tomorrow"}, "SINCE=tomorrow: Input should be a valid date"),
        ({"THREADS": "0"}, "THREADS=0: Input should be greater than or equal to 1"),
        ({"MODE": "all"}, "MODE=all: Input should be 'full' or 'updates'"),
        ({"REGIONS": "eu,us"}, "REGIONS=eu,us: use JSON"),
        ({"REGIONS": "[1]"}, "REGIONS=[1]: Input should be a valid string"),
        ({"NAME": "longer"}, "NAME=longer: String should have at most 5 characters"),
        ({"CODE": "x-secret"}, "CODE: [hidden] must not start with x."),
        ({"SINCE": "2026-11-03", "UNTIL": "2026-11-02"}, "SINCE, UNTIL: until is before since."),
        ({"SCHEDULED_AT": "2026-11-01T05:30:00"}, "SCHEDULED_AT: use a time with an offset"),
    ],
)
def test_a_value_is_checked_by_the_settings_class(
    env: dict[str, str], problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables of this process and the Parameter Store have no part in it."""
    monkeypatch.setenv("SINCE", "not a date")
    monkeypatch.setenv("PASSWORD_SSM_PATH", "/would/be/read")
    _, task = make_catalog(env={"URL": "${bucket:inbox}/x", "THREADS": "2"})
    found = find_value_problems(task, env)
    assert (found == []) if problem is None else (len(found) == 1 and found[0].startswith(problem)), found


@pytest.mark.parametrize(
    ("regions", "problem"),
    [
        (["eu", "us"], ""),
        ('["eu"]', ""),
        ("eu", "Input should be a valid list"),
        ("[1]", "Input should be a valid string"),
        ('["eu"', "Input should be a valid list"),
    ],
)
def test_a_declared_list_is_checked_as_the_job_reads_it(regions: object, problem: str) -> None:
    field = LoadSettings.model_fields["regions"]
    assert (find_value_problem(field, format_value(regions)) or "") == problem
