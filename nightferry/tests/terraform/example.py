"""A catalog with each kind of declaration, and an environment for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, SecretStr

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image, Secret
from nightferry.environments.environment import Environment, parse
from nightferry.states.builder import ForEach, Item, Notify, Retry, RunTask, Steps


class JobSettings(BaseModel):
    """The settings of the example's jobs."""

    folder_path: str
    key: SecretStr | None = None
    mode: str = ""
    db_username: str = "jobs"
    db_password: SecretStr | None = None
    database_logins: ClassVar = {"db_username": "db_password"}

    def connect(self) -> None: ...


ENVIRONMENT = """
backend = "aws"

[settings]
mode = "a ${literal} b"

[aws]
account = "123456789012"
region = "us-east-1"
cluster = "example-test"
vpc = "vpc-0123456789abcdef0"
subnets = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
database_security_group = "sg-0123456789abcdef0"
database_resource_id = "db-ABCDEFGHIJKLMNOP"
bucket_prefix = "org"
log_forwarder = "arn:aws:lambda:us-east-1:123456789012:function:forwarder"
secrets = ["common/new-relic"]

[aws.alarms]
high = "arn:aws:sns:us-east-1:123456789012:pager"
low = "arn:aws:sns:us-east-1:123456789012:mail"

[aws.buckets.inbox]
name = "org-test-inbox"
notifications = "ours"

[aws.egress.partner-sftp]
cidr = "10.0.0.0/8"
port = 22
"""
NOTICES = """
[notices.failures]
emails = ["on-call@example.gov", "team@example.gov"]
slack = "notices/slack"
teams = "/shared/teams"
"""


def make_catalog() -> Catalog:
    """Return a catalog with two tasks, a workflow, and schedules and triggers of both kinds."""
    catalog = Catalog(
        "example", image=Image("example"), secrets={"NEW_RELIC_LICENSE_KEY": Secret("common/new-relic", optional=True)}
    )
    inbox = catalog.bucket("inbox")
    failures = catalog.topic("failures")
    vendor = catalog.role(
        "vendor",
        arn=catalog.setting("vendor.arn", default="arn:aws:iam::210987654321:role/exchange"),
        external_id=catalog.setting("vendor.external_id", default="shared"),
    )
    load = catalog.task(
        "load",
        command=["load"],
        config=JobSettings,
        env={"FOLDER_PATH": inbox / "in", "MODE": catalog.setting("mode", default="x")},
        secrets={"KEY": Secret("load/key")},
        grants=[inbox.read_write("in/*"), vendor.assume(), failures.publish()],
        overlap="skip",
        severity="high",
    )
    report = catalog.task(
        "report", command=["report"], accepts_args=True, config=JobSettings, env={"FOLDER_PATH": inbox / "out"}
    )
    nightly = catalog.workflow(
        "nightly",
        Steps(RunTask(load), ForEach(["1", "2"], RunTask(report, args=[Item()]))),
        description="Loads and reports.",
        retry=Retry(),
        timeout=timedelta(hours=3),
        on_failure=Notify(failures),
    )
    catalog.schedule(
        "nightly", nightly, catalog.setting("nightly", default="cron(30 20 * * ? *)"), timezone="America/New_York"
    )
    catalog.schedule(
        "for-a-year",
        report,
        "rate(1 day)",
        start=datetime(2027, 1, 1, tzinfo=ZoneInfo("America/New_York")),
        end=datetime(2028, 1, 1, tzinfo=UTC),
    )
    catalog.schedule("hourly", report, "rate(1 hour)", args=["--all"], env={"MODE": "m"}, via="rule")
    catalog.object_trigger("on-file", load, bucket=inbox, prefix="in/a_")
    catalog.object_trigger("on-table", load, bucket=inbox, prefix="in/b_", suffix=".csv", via="eventbridge")
    catalog.object_trigger("on-batch", nightly, bucket=inbox, prefix="in/c_", via="eventbridge")
    return catalog


def make_environment(catalog: Catalog, text: str = ENVIRONMENT) -> Environment:
    return parse("test", text + NOTICES, catalog, Path("environments/test.toml"))
