"""``nightferry notifications``: what would have been sent to whom, and test notices here and on AWS."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from nightferry.cli.app import main
from nightferry.cli.terminal.output import print_table
from nightferry.contract import Privacy
from nightferry.environments.project import Project
from nightferry.lambdas import chat_notice
from nightferry.local.backend import LocalBackend
from nightferry.local.monitoring.notice_log import NoticeLog
from nightferry.local.services import secrets
from tests.aws.project import make_aws_project
from tests.cli.terminal import environment, in_process, nightferry
from tests.lambdas.chat import Chat
from tests.lambdas.servers import serve

KEYS = {"AWS_ACCESS_KEY_ID": "fake", "AWS_SECRET_ACCESS_KEY": "fake"}
RECIPIENTS = """
[notices.failures]
emails = ["on-call@example.gov", "late@example.gov"]
slack = "notices/slack"
teams = "notices/teams"
"""
TOPIC = "arn:aws:sns:us-east-1:123456789012:toy-test-failures"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_aws_project(tmp_path_factory.mktemp("notifications") / "toy")
    for name in ("local", "test"):
        file = root / "environments" / f"{name}.toml"
        file.write_text(file.read_text() + RECIPIENTS)
    return root


@pytest.fixture(scope="module")
def backend(root: Path) -> LocalBackend:
    project = Project.find(root)
    return LocalBackend(project, project.environment("local"))


@pytest.fixture(scope="module")
def chat() -> Iterator[Chat]:
    with serve(Chat()) as chat:
        yield chat


def read_json(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_the_newest_notice_is_first_and_shown_without_personal_data(
    root: Path, backend: LocalBackend, caplog: pytest.LogCaptureFixture
) -> None:
    Project.find(root).catalog.privacy = Privacy.STRICT
    assert nightferry(root, "notifications").stdout == "No notices.\n"
    log = NoticeLog(backend.store, Project.find(root).environment("local"))
    failure = {"workflow": "fails", "execution": "e", "status": "FAILED", "step": "three", "cause": "SSN 123-45-6789"}
    backend.store.add_notification("1", "failures", "It failed", json.dumps(failure | {"environment": "local"}), "e")
    backend.store.add_notification("2", "failures", None, "mail ann.lee@example.org, password=hunter2")
    first, second = nightferry(root, "notifications").stdout.strip().split("\n\n2")
    assert "topic failures  to on-call@example.gov, late@example.gov, Slack (notices/slack), Teams" in first
    assert "    Notice of topic failures\n\n    mail [e-mail], password=[redacted]" in first
    assert "    It failed\n\n    Workflow: fails\n    Environment: local\n    Step: three\n" in second
    (newest,) = read_json(nightferry(root, "notifications", "--limit", "1", "--json"))
    assert newest.keys() == {"time", "topic", "execution", "recipients", "text"}
    for text in (first, second, json.dumps(newest)):
        assert not {"6789", "hunter2", "ann.lee"} & {part for part in ("6789", "hunter2", "ann.lee") if part in text}
    with caplog.at_level(logging.INFO, "nightferry.engine"):
        log.log_new()
        log.log_new()
    assert [record.message for record in caplog.records] == [
        f"Notice for topic 'failures' (2 by e-mail, Slack, Teams): {subject}. See: nightferry notifications"
        for subject in ("It failed", "without a subject")
    ]


def test_a_test_notice_on_this_machine_reaches_the_webhooks_that_are_set(
    root: Path, backend: LocalBackend, chat: Chat
) -> None:
    secrets.write(Project.find(root).state, "notices/slack", f"{chat.url}\n")
    chat.reset()
    done = nightferry(root, "notifications", "test", "failures")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "on-call@example.gov\tstored; e-mail is sent only on AWS",
        "late@example.gov\tstored; e-mail is sent only on AWS",
        "Slack (notices/slack)\tdelivered",
        "Teams (notices/teams)\tstored; to send it, set the webhook: nightferry secrets set notices/teams",
    ]
    (message,) = chat.received
    assert message["text"].endswith("Test notice of toy local")
    assert backend.store.newest_notifications(1)[0]["subject"] == "Test notice of toy local"
    chat.reset((404, {}, "no_service"))
    refused = nightferry(root, "notifications", "test", "failures", "--json")
    assert refused.returncode == 1
    result = json.loads(refused.stdout)["recipients"]["Slack (notices/slack)"]
    assert result.startswith("not delivered: Slack (127.0.0.1) responded with status 404: no_service. The webhook was")
    assert "kq7Secret" not in refused.stdout + refused.stderr
    listed = nightferry(root, "secrets", "list").stdout
    assert "notices/slack\tset\tnotices of failures to Slack" in listed
    unknown = nightferry(root, "notifications", "test", "failure")
    assert unknown.returncode != 0
    assert "Did you mean failures?" in unknown.stderr


def test_a_message_for_an_empty_table_keeps_its_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("Recipient", "Result"), [], "Add [notices.failures] to environments/local.toml.")
    assert capsys.readouterr().out == "Add [notices.failures] to environments/local.toml.\n"


def test_notices_on_aws_are_published_but_not_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = nightferry(root, "notifications", "--env", "test")
    assert refused.returncode != 0
    assert "cannot be listed, because Amazon SNS does not store messages" in refused.stderr
    test = ("notifications", "test", "failures", "--env", "test", "--json")
    with mock_aws():
        missing = in_process(main, root, environment() | KEYS, *test)
        assert missing.returncode != 0
        assert (
            "Topic toy-test-failures does not exist: this version has not been deployed to test yet." in missing.stderr
        )
        sns = boto3.client("sns", region_name="us-east-1")
        sns.create_topic(Name="toy-test-failures")
        sns.subscribe(TopicArn=TOPIC, Protocol="email", Endpoint="on-call@example.gov")
        function = "arn:aws:lambda:us-east-1:123456789012:function:toy-test-failures-slack"
        sns.subscribe(TopicArn=TOPIC, Protocol="email", Endpoint=function)  # moto would invoke a function
        published = in_process(main, root, environment() | KEYS, *test)
    assert published.returncode == 1
    assert json.loads(published.stdout)["recipients"] == {
        "on-call@example.gov": "published; AWS sends the e-mail",
        "late@example.gov": "not delivered: not subscribed. Deploy this version (terraform apply).",
        "Slack (notices/slack)": "published; the result is in the log group /aws/lambda/toy-test-failures-slack",
        "Teams (notices/teams)": "not delivered: the function is not subscribed. Deploy this version "
        "(terraform apply).",
    }


def test_rendering_needs_no_library_of_aws() -> None:
    """A machine without the extra ``aws`` lists notices, too."""
    assert not hasattr(chat_notice, "boto3")
