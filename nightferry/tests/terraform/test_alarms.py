"""The alarms: which state changes of tasks are failures, and which lost starts and overdue schedules are reported."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nightferry.errors import EnvironmentFileError
from nightferry.terraform import synthesize
from nightferry.terraform.monitoring.overdue import compute_latest_notice
from tests.terraform.example import ENVIRONMENT, make_catalog, make_environment

ROOT = "ecs-tasks/test"
SIDECAR = {"name": "aws-guardduty-agent-mfjGLB"}  # as in aws/aws-cdk#32877, where it could not start
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


@pytest.fixture(scope="module")
def resources() -> Any:
    catalog = make_catalog()
    files = synthesize(catalog, make_environment(catalog))
    return json.loads(files[f"{ROOT}/alarms.tf.json"])["resource"]


def matches(pattern: str, event: Any, *, missing_differs: bool) -> bool:
    """Evaluate a filter pattern for JSON as the guide of CloudWatch Logs describes it ("Filter pattern syntax").

    The guide leaves open whether ``!=`` holds for a member that does not exist: ``missing_differs``.
    """
    tokens = re.findall(r'&&|\|\||[(){}]|!=|=|NOT EXISTS|\$[\w.\[\]]+|"[^"]*"|-?\d+', pattern)
    assert "".join(tokens).replace(" ", "") == pattern.replace(" ", "")

    def find(selector: str) -> Any:
        found = event
        for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", selector):
            if name:
                found = found.get(name) if isinstance(found, dict) else None
            else:
                found = found[int(index)] if isinstance(found, list) and int(index) < len(found) else None
        return found

    def read_any() -> bool:
        value = read_all()
        while tokens[0] == "||":
            tokens.pop(0)
            value = read_all() or value
        return value

    def read_all() -> bool:
        value = read_one()
        while tokens[0] == "&&":
            tokens.pop(0)
            value = read_one() and value
        return value

    def read_one() -> bool:
        first = tokens.pop(0)
        if first == "(":
            value = read_any()
            assert tokens.pop(0) == ")"
            return value
        found, operator = find(first), tokens.pop(0)
        if operator == "NOT EXISTS":
            return found is None
        wanted = json.loads(tokens.pop(0))
        if found is None:
            return operator == "!=" and missing_differs
        if isinstance(wanted, str):
            text = "".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", wanted))
            equal = re.fullmatch(text, str(found)) is not None
        else:
            equal = found == wanted
        return equal == (operator == "=")

    assert (tokens.pop(0), tokens[-1]) == ("{", "}")
    result = read_any()
    assert tokens == ["}"]
    return result


def own(code: int | None = None, **more: Any) -> dict[str, Any]:
    return {"name": "load", **({} if code is None else {"exitCode": code}), **more}


CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("success", {"containers": [own(0)]}, False),
    ("failure", {"containers": [own(1)]}, True),
    ("no exit code", {"containers": [own()]}, True),
    ("success, GuardDuty after", {"containers": [own(0), SIDECAR]}, False),
    ("success, GuardDuty before", {"containers": [SIDECAR, own(0)]}, False),
    ("success, GuardDuty killed", {"containers": [SIDECAR | {"exitCode": 137}, own(0)]}, False),
    ("failure, GuardDuty before", {"containers": [SIDECAR | {"exitCode": 0}, own(1)]}, True),
    ("failure, GuardDuty after", {"containers": [own(1), SIDECAR | {"exitCode": 0}]}, True),
    ("no exit code, GuardDuty before", {"containers": [SIDECAR | {"exitCode": 0}, own()]}, True),
    ("stopped by a person", {"stopCode": "UserInitiated", "containers": [own(143)]}, False),
    ("stopped by a person before it started", {"stopCode": "UserInitiated", "containers": [own()]}, False),
    ("SIGTERM of another process", {"containers": [own(143)]}, True),
    ("spot", {"stopCode": "SpotInterruption", "containers": [own(143)]}, True),
    ("host retired", {"stopCode": "TerminationNotice", "containers": [own(143)]}, True),
    ("host retired, code 0", {"stopCode": "TerminationNotice", "containers": [own(0)]}, True),
    ("never started", {"stopCode": "TaskFailedToStart", "containers": [own()]}, True),
    ("never started, no containers", {"stopCode": "TaskFailedToStart", "containers": []}, True),
    ("a new stop code", {"stopCode": "SomethingNew", "containers": [own(0)]}, True),
    ("no stop code, failure", {"stopCode": None, "containers": [own(1)]}, True),
    ("memory, code 0", {"containers": [own(0, reason=OUT_OF_MEMORY)]}, True),
    ("memory, no code", {"containers": [own(reason=OUT_OF_MEMORY)]}, True),
    ("memory in the task's reason", {"stoppedReason": OUT_OF_MEMORY, "containers": [own(0)]}, True),
    ("memory, GuardDuty before", {"containers": [SIDECAR, own(0, reason=OUT_OF_MEMORY)]}, True),
    ("still running", {"lastStatus": "RUNNING", "stopCode": None, "containers": [own()]}, False),
]


@pytest.mark.parametrize(("detail", "failed"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
@pytest.mark.parametrize("missing_differs", [True, False])
def test_the_state_changes_that_count_as_failures(
    resources: Any, detail: dict[str, Any], failed: bool, missing_differs: bool
) -> None:
    pattern = resources["aws_cloudwatch_log_metric_filter"]["failures"]["pattern"]
    complete = {"lastStatus": "STOPPED", "stopCode": "EssentialContainerExited"} | detail
    event = {"detail": {name: value for name, value in complete.items() if value is not None}}
    assert matches(pattern, event, missing_differs=missing_differs) == failed
    assert len(pattern) <= 1024  # the limit of PutMetricFilter


def test_a_lost_start_has_an_alarm(resources: Any) -> None:
    """The metrics are those of the guides of Scheduler, EventBridge and Lambda ("Monitoring")."""
    found = {
        (alarm["namespace"], alarm["metric_name"], *alarm["dimensions"].values())
        for alarm in resources["aws_cloudwatch_metric_alarm"].values()
    }
    group = "${aws_scheduler_schedule_group.this.name}"
    assert found >= {
        ("AWS/Scheduler", "InvocationsFailedToBeSentToDeadLetterCount", group),
        ("AWS/Events", "InvocationsFailedToBeSentToDlq", "example-test-hourly"),
        ("AWS/Events", "InvocationsFailedToBeSentToDlq", "example-test-on-table"),
        ("AWS/Lambda", "DestinationDeliveryFailures", "example-test-on-file-trigger"),
        ("AWS/Events", "FailedInvocations", "${aws_cloudwatch_event_rule.state_changes.name}"),
    }


@pytest.mark.parametrize(("hours", "latest"), [(3, 6), (24, 27), (25, 29), (32, 36)])
def test_an_overdue_alarm_states_its_latest_time(hours: int, latest: int) -> None:
    """Three hours for the hour of the clock and the wider range, and one more for hourly evaluation beyond a day."""
    assert compute_latest_notice(hours) == latest


def test_the_description_of_an_overdue_alarm_has_its_delay(resources: Any) -> None:
    alarm = resources["aws_cloudwatch_metric_alarm"]["schedule_nightly_overdue"]
    assert alarm["evaluation_periods"] == 29
    assert "not succeeded for 29 hours. CloudWatch reports this up to 33 hours after" in alarm["alarm_description"]
    assert "for which ECS returned failures" in alarm["alarm_description"]
    assert len(alarm["alarm_description"]) <= 1024  # the limit of PutMetricAlarm


def test_a_description_ends_with_the_place_in_the_runbook() -> None:
    page = "https://docs.example.org/on-call/"
    text = ENVIRONMENT.replace("[aws.alarms]", f'[aws.alarms]\nrunbook = "{page}"')
    catalog = make_catalog()
    alarms = json.loads(synthesize(catalog, make_environment(catalog, text))[f"{ROOT}/alarms.tf.json"])["resource"]
    places = {}
    for alarm in alarms["aws_cloudwatch_metric_alarm"].values():
        assert len(alarm["alarm_description"]) <= 1024  # the limit of PutMetricAlarm
        places[alarm["alarm_name"]] = alarm["alarm_description"].partition(f" Runbook: {page}#")[2]
    assert places["example-test-report-failed"] == "task-failed"
    assert places["example-test-failures-slack-dropped"] == "topic-chat-dropped"
    assert places["example-test-on-table-lost"] == "trigger-lost"
    assert places["example-test-schedules-dead-letters"] == "schedules-dead-letters"
    guide = (Path(__file__).parents[2] / "docs/notifications.md").read_text()
    documented = set(re.findall(r"`([A-Za-z-]+)`", guide.partition("The headings are:")[2].partition("\n## ")[0]))
    assert set(places.values()) <= {heading.lower() for heading in documented}
    assert {heading.lower() for heading in documented} - set(places.values()) <= {
        "on_failure",
        "retry",
        "retries-dead-letters",
        "retries-dropped",
        "logs-dead-letters",
        "logs-dropped",
    }


@pytest.mark.parametrize("page", ["http://a.example", "https://a.example/#b", "https://a b", "on-call.md"])
def test_a_runbook_is_an_address_without_a_fragment(page: str) -> None:
    text = ENVIRONMENT.replace("[aws.alarms]", f'[aws.alarms]\nrunbook = "{page}"')
    with pytest.raises(EnvironmentFileError, match=r"'aws\.alarms\.runbook'"):
        make_environment(make_catalog(), text)


def test_an_alarm_can_notify_a_declared_topic() -> None:
    text = ENVIRONMENT.replace('"arn:aws:sns:us-east-1:123456789012:mail"', '"failures"')
    catalog = make_catalog()
    alarms = json.loads(synthesize(catalog, make_environment(catalog, text))["ecs-tasks/test/alarms.tf.json"])
    report = alarms["resource"]["aws_cloudwatch_metric_alarm"]["task_report_failed"]
    assert report["alarm_actions"] == report["ok_actions"] == ["${aws_sns_topic.failures.arn}"]
