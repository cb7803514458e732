"""The pages of schedules and triggers of an environment on AWS: what AWS does not record is said to be not known."""

from __future__ import annotations

from datetime import timedelta

import boto3
import httpx
import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.contract import format_scheduled_time
from nightferry.dashboard.access import Access
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, TaskScript
from tests.aws.executions.test_starts import run_task
from tests.dashboard.dashboards import PORT, TOKEN, check_html, make_client


@pytest.fixture
def client(project: Project, backend: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> httpx.Client:
    catalog = project.catalog
    catalog.schedule("nightly", catalog.tasks["three"], "cron(0 5 * * ? *)")
    catalog.schedule("often", catalog.tasks["three"], "rate(2 hours)")
    catalog.object_trigger("arrival", catalog.tasks["hello"], bucket=catalog.buckets["inbox"], prefix="in/")
    boto3.client("sqs", region_name="us-east-1").create_queue(QueueName="toy-test-schedules-dead-letters")
    access = Access.on_loopback(TOKEN, PORT)
    site = Site(project, project.environment("test"), access, lambda: backend, author="anna", clock=clock)
    return make_client(site)


def read_text(response: httpx.Response) -> str:
    return " ".join(check_html(response).text_content().split())


@pytest.mark.long
def test_schedules_and_triggers_on_aws(client: httpx.Client, fargate: FakeFargate, clock: FakeClock) -> None:
    fargate.script("three", TaskScript(exit_code=3))
    fargate.script("hello", TaskScript())
    due = clock.now().replace(hour=5, minute=0, second=0, microsecond=0)
    while due > clock.now():
        clock.sleep(3600)
    fired = {"SCHEDULED_AT": format_scheduled_time(due), "NIGHTFERRY_SCHEDULE": "nightly"}
    run = run_task("three", "chronos-schedule/x", fired)
    run_task("hello", "trigger/arrival", {"S3_KEY": "in/a.csv", "S3_BUCKET": "b"})
    clock.sleep(600)
    text = read_text(client.get("/test/schedules"))
    assert "every day at 05:00 UTC" in text
    assert f"failed {run[:8]} due {due:%Y-%m-%d} 05:00:00 UTC" in text
    assert "missed: ? not knownAWS keeps no record of a start that was not made." in text
    assert "not known: the rate counts from the creation of the schedule" in text
    assert f"late nightly was due at {due - timedelta(days=1):%Y-%m-%d} 05:00:00 UTC. No start was found" in text
    history = read_text(client.get("/test/schedules/nightly"))
    assert "1 start" in history
    assert "AWS repeats a failed start for an hour" in history
    missed = read_text(client.get("/test/schedules/nightly?outcome=missed"))
    assert "nightferry redrive schedules --env test --dry-run" in missed
    triggers = read_text(client.get("/test/triggers"))
    assert "in/a.csv" in triggers
    assert "schedules✓ empty" in triggers
    assert "Amazon S3 keeps no list of the objects" in read_text(client.get("/test/triggers/arrival"))
