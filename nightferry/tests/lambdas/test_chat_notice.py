"""Notices in a chat: readable, escaped, within the chat's limits, delivered once, and the webhook stays secret."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from nightferry.contract import Privacy
from nightferry.job.redaction import Redactor
from nightferry.lambdas import chat_notice, failure_notice
from nightferry.lambdas.chat_notice import (
    NotDelivered,
    Notice,
    deliver,
    handler,
    mask,
    read_notice,
    render,
    render_text,
)
from tests.lambdas.chat import Chat
from tests.lambdas.servers import serve

TOPIC = "arn:aws:sns:us-east-1:123456789012:example-test-failures"
PARAMETER = "/service/example/test/notices/slack"
FAILURE = {
    "workflow": "nightly",
    "environment": "test",
    "execution": "arn:aws:states:us-east-1:123456789012:execution:example-test-nightly:e1",
    "status": "TIMED_OUT",
    "step": "load <b> & `x`",
    "error": "States.Timeout",
    "cause": "Task load ended with exit code 1.\n<!channel> *bold* ```end``` _it_ [a](https://evil.example)",
    "command": "nightferry status e1 --env test",
    "link": "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1&x=1#/v2",
}
# From CloudWatch's guide, "Alarm events and EventBridge" and "Notifying users on alarm changes".
ALARM = {
    "AlarmName": "example-test-load-failed",
    "AlarmDescription": "Task load failed. Its log: nightferry logs load",
    "AWSAccountId": "123456789012",
    "NewStateValue": "ALARM",
    "NewStateReason": "Threshold Crossed: 1 datapoint [1.0 (29/11/26 19:42:00)] was greater than the threshold (0.0).",
    "StateChangeTime": "2026-11-29T19:42:21.123+0000",
    "Region": "US East (N. Virginia)",
    "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:example-test-load-failed",
    "OldStateValue": "OK",
    "Trigger": {"MetricName": "Failures"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Chat]:
    with serve(Chat()) as chat:
        yield chat


@pytest.fixture
def chat(server: Chat, monkeypatch: pytest.MonkeyPatch) -> Chat:
    server.reset()
    monkeypatch.setattr(chat_notice.random, "uniform", lambda _low, _high: 0.001)
    return server


def send(chat: Chat, kind: str = "slack", seconds: float = 20.0) -> None:
    deliver(chat.url, render(Notice("It failed"), kind), kind, time.monotonic() + seconds)


# ── reading and rendering ─────────────────────────────────────────────────────────────────────────────────────


def test_a_failure_is_readable_as_text() -> None:
    text = render_text(read_notice("failures", "The nightly load failed", json.dumps(FAILURE)))
    assert text.splitlines()[:8] == [
        "The nightly load failed",
        "",
        "Workflow: nightly",
        "Environment: test",
        "Step: load <b> & `x`",
        "Error: States.Timeout",
        "Status: timed out",
        "",
    ]
    assert text.endswith(f"{FAILURE['command']}\n\n{FAILURE['link']}")


def test_slack_receives_escaped_text_in_code() -> None:
    message = render(read_notice("failures", "Load <failed> & *more*", json.dumps(FAILURE)), "slack")
    header, facts, cause, command, link = message["blocks"]
    assert header["text"] == {"type": "plain_text", "text": "🔴 Load <failed> & *more*", "emoji": False}
    assert "*Step:* `load &lt;b&gt; &amp; 'x'`" in facts["text"]["text"]
    assert cause["text"]["text"] == (
        "```\nTask load ended with exit code 1.\n&lt;!channel&gt; *bold* '''end''' _it_ [a](https://evil.example)\n```"
    )
    assert command["text"]["text"] == "`nightferry status e1 --env test`"
    assert link["text"]["text"] == f"<{FAILURE['link'].replace('&', '&amp;')}|Open the console>"
    assert message["text"] == "🔴 Load &lt;failed&gt; &amp; *more*"


def test_teams_receives_a_card_of_text_runs() -> None:
    """Only text runs contain no Markdown (Adaptive Cards, "RichTextBlock")."""
    message = render(read_notice("failures", "*It* failed", json.dumps(FAILURE)), "teams")
    assert message["type"] == "message"
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    lines = ["".join(run["text"] for run in block["inlines"]) for block in card["body"]]
    assert lines[:6] == [
        "*It* failed",
        "Workflow: nightly",
        "Environment: test",
        "Step: load <b> & `x`",
        "Error: States.Timeout",
        "Status: timed out",
    ]
    assert lines[-1] == FAILURE["command"]
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open the console", "url": FAILURE["link"]}]


@pytest.mark.parametrize("character", ["&", "x", "😀", "\ud800", "`", "\n", "<"])
def test_the_limits_of_the_chats_hold_for_any_text(character: str) -> None:
    """Slack: 150 characters in a header, 3,000 in a section, 50 blocks; Teams: 28 KB."""
    huge = character * 50_000
    failure = (
        FAILURE | dict.fromkeys(("workflow", "step", "error", "cause", "command"), huge) | {"link": f"https://{huge}"}
    )
    for message in (json.dumps(failure), huge):
        notice = read_notice("failures", huge, message)
        slack, teams = render(notice, "slack"), render(notice, "teams")
        assert len(slack["blocks"]) <= 50
        for block in slack["blocks"]:
            assert len(block["text"]["text"]) <= (150 if block["type"] == "header" else 3000)
        assert len(json.dumps(teams, ensure_ascii=False).encode()) < 28_000
        json.dumps(slack, ensure_ascii=False).encode()


def test_an_alarm_is_readable() -> None:
    notice = read_notice("failures", 'ALARM: "example-test-load-failed" in US East (N. Virginia)', json.dumps(ALARM))
    assert notice.title == "Alarm: example-test-load-failed"
    assert dict(notice.facts) == {
        "Reason": ALARM["NewStateReason"],
        "Since": "2026-11-29T19:42:21.123+0000",
        "Account": "123456789012, US East (N. Virginia)",
    }
    assert notice.text == ALARM["AlarmDescription"]
    assert notice.link == (
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#alarmsV2:alarm/example-test-load-failed"
    )
    resolved = read_notice("failures", None, json.dumps(ALARM | {"NewStateValue": "OK"}))
    assert resolved.title == "Resolved: example-test-load-failed"
    assert render(resolved, "teams")["attachments"][0]["content"]["body"][0]["inlines"][0]["color"] == "good"
    silent = read_notice("failures", None, json.dumps({"AlarmName": "a", "NewStateValue": "INSUFFICIENT_DATA"}))
    assert (silent.title, silent.link) == ("INSUFFICIENT_DATA: a", "")


def test_an_alarm_links_to_its_place_in_the_runbook() -> None:
    page = "https://docs.example.org/on-call/#task-failed"
    alarm = ALARM | {"AlarmDescription": f"{ALARM['AlarmDescription']} Runbook: {page}"}
    notice = read_notice("failures", None, json.dumps(alarm))
    assert (notice.text, notice.runbook) == (ALARM["AlarmDescription"], page)
    assert f"<{page}|Open the runbook> · <{notice.link}|" in render(notice, "slack")["blocks"][-1]["text"]["text"]
    actions = render(notice, "teams")["attachments"][0]["content"]["actions"]
    assert [action["url"] for action in actions] == [page, notice.link]
    other = read_notice("failures", None, json.dumps(ALARM | {"AlarmDescription": "See. Runbook: javascript:alert(1)"}))
    assert (other.text, other.runbook) == ("See. Runbook: javascript:alert(1)", "")


@pytest.mark.parametrize("message", ["plain", "[1, 2]", '{"a": 1}', "{", "[" * 4000])
def test_any_other_message_is_shown_as_it_is(message: str) -> None:
    assert read_notice("failures", None, message) == Notice("Notice of topic failures", text=message)


def test_a_link_that_is_not_a_link_is_left_out() -> None:
    for link in ("javascript:alert(1)", "https://a|b", "https://a b", 7, None):
        assert read_notice("t", None, json.dumps(FAILURE | {"link": link})).link == ""


SAMPLES = {
    "customer 123-45-6789": "6789",
    "customer 123 45 6789 and 12-3456789": "3456789",
    "account 000123456789012": "456789",
    "call (617) 555-0123 or 617-555-0123": "0123",
    "mail ann.lee@example.org now": "ann",
    'Row {"last_name": "Lee", "n": 3}': "Lee",
    "password=hunter2, user=x": "hunter2",
    "db_password: hun ter2": "hun",
    "postgresql://jobs:hunter2@db.example/x": "hunter2",
    "key AKIAABCDEFGHIJKLMNOP": "ABCDEF",
    "Authorization: Bearer eyJhbGciOi.abc.def": "eyJ",
    "duplicate key DETAIL: Key (ssn)=(1) exists": "Key (",
    "post to https://hooks.slack.com/services/T1/B2/abc": "T1",
    "post to https://x.example/workflows/1?api-version=1&sig=abc": "sig",
}
READABLE = (
    "Task load ended with exit code 137: OutOfMemoryError: Container killed due to memory usage.",
    "arn:aws:iam::210987654321:role/exchange is not authorized, 2026-11-29 19:42:21",
    "pull 210987654321.dkr.ecr.us-east-1.amazonaws.com/example:1.2.3 failed",
    "s3://bucket/in/DORDFML_20261129194221",
)


def test_personal_data_and_secrets_are_masked() -> None:
    for text, secret in SAMPLES.items():
        assert secret not in mask(text), text
        if "https://" not in text:
            assert secret not in Redactor(Privacy.STRICT).redact_text(text), "the logs hide it, too"
        notice = read_notice("t", text, json.dumps(FAILURE | {"cause": text, "error": text, "step": text}))
        assert secret not in render_text(notice)
        assert secret not in render_text(read_notice("t", None, text))
    for text in READABLE:
        assert mask(text) == text


def test_both_functions_mask_alike() -> None:
    assert [(one.pattern, one.flags) for one, _ in chat_notice._SECRETS + chat_notice._PERSONAL] == [
        (one.pattern, one.flags) for one, _ in failure_notice._SECRETS + failure_notice._PERSONAL
    ]
    for text in (*SAMPLES, *READABLE):
        assert mask(text) == failure_notice.mask(text)


# ── delivery ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "behaviors"),
    [
        ("slack", [200]),
        ("teams", [202]),
        ("slack", [(429, {"Retry-After": "0"}, "rate_limited"), 200]),
        ("slack", [(429, {"Retry-After": "Sun, 29 Nov 2020 19:00:00 GMT"}, ""), 200]),
        ("teams", [(429, {"Retry-After": "soon"}, ""), 202]),
        ("slack", [500, 503, 408, 200]),
        ("slack", ["cut", 200]),
        ("slack", [(200, {}, "x" * 3_000_000)]),
        ("slack", [(500, {}, "x" * 3_000_000), 200]),
    ],
)
def test_a_message_is_delivered_in_spite_of_passing_problems(chat: Chat, kind: str, behaviors: list[Any]) -> None:
    chat.reset(*behaviors)
    send(chat, kind)
    assert len(chat.received) == len(behaviors)
    assert chat.received[-1] == render(Notice("It failed"), kind)


@pytest.mark.parametrize(
    ("kind", "behavior", "message"),
    [
        ("slack", (400, {}, "invalid_payload"), "Slack (127.0.0.1) responded with status 400: invalid_payload. Check"),
        ("slack", (404, {}, "no_service"), "status 404: no_service. The webhook was removed or its URL is incomplete."),
        ("slack", (410, {}, "channel_is_archived"), "status 410: channel_is_archived. The webhook was removed"),
        ("slack", (202, {}, ""), "status 202. Check that the secret contains the URL of a webhook of this chat."),
        ("teams", (401, {}, '{"error": {"code": "DirectApiAuthorizationRequired"}}'), "DirectApiAuthorizationRequired"),
        ("teams", (400, {}, "kq7Secret quoted by a proxy"), "Teams (127.0.0.1) responded with status 400. Check that"),
        ("slack", (302, {"Location": "/elsewhere"}, ""), "status 302. Redirects are not followed."),
        ("slack", (307, {"Location": "http://127.0.0.1/x"}, ""), "status 307. Redirects are not followed."),
    ],
)
def test_a_refusal_is_reported_at_once_without_the_url(
    chat: Chat, kind: str, behavior: tuple[int, dict[str, str], str], message: str
) -> None:
    chat.reset(behavior)
    with pytest.raises(NotDelivered) as refusal:
        send(chat, kind)
    assert message in str(refusal.value)
    assert len(chat.paths) == 1
    for secret in ("kq7Secret", "alsoSecret", "B0002"):
        assert secret not in str(refusal.value)


@pytest.mark.parametrize("behavior", ["hang", "drip"])
def test_a_slow_chat_ends_with_the_time(chat: Chat, behavior: str) -> None:
    chat.reset(*[behavior] * 9)
    with pytest.raises(NotDelivered, match=r"Slack \(127.0.0.1\) .*no time was left"):
        send(chat, seconds=0.3)


def test_a_dead_chat_or_a_long_wait_ends_with_the_time(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_notice.random, "uniform", lambda _low, high: high)
    chat.reset((429, {"Retry-After": "3600"}, "rate_limited"))
    with pytest.raises(NotDelivered, match="status 429: rate_limited, and no time was left"):
        send(chat)
    with pytest.raises(NotDelivered, match=r"did not respond \(ConnectionRefusedError\), and no time"):
        deliver("http://127.0.0.1:9/x", {}, "slack", time.monotonic() + 0.9)
    with pytest.raises(NotDelivered, match="No time was left"):
        send(chat, seconds=0)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "xoxb-token",
        "http://hooks.slack.com/x",
        "https://",
        "https://u:p@h/x",
        "https://h:x/",
        "https://h/a b",
        "ftp://h",
    ],
)
def test_a_secret_that_is_not_a_url_is_not_repeated(url: str) -> None:
    with pytest.raises(NotDelivered) as refusal:
        deliver(url, {}, "slack", time.monotonic() + 5)
    assert str(refusal.value) == (
        "The secret does not contain the URL of a webhook, which begins with https://. Replace it."
    )


# ── the function ──────────────────────────────────────────────────────────────────────────────────────────────


class Function:
    """The deployed function: its environment, its parameter in an emulated AWS, and its context."""

    def __init__(self, chat: Chat) -> None:
        self.chat, self.ssm = chat, boto3.client("ssm")
        self.put_url(chat.url)

    def put_url(self, url: str) -> None:
        self.ssm.put_parameter(Name=PARAMETER, Value=f"{url}\n", Type="SecureString", Overwrite=True)

    def __call__(self, message: object, seconds: float = 22) -> dict[str, int]:
        sns = {"TopicArn": TOPIC, "Subject": "It failed", "Message": json.dumps(message), "MessageId": "m-1"}
        context = SimpleNamespace(
            function_name="example-test-failures-slack", get_remaining_time_in_millis=lambda: seconds * 1000
        )
        return handler({"Records": [{"EventSource": "aws:sns", "Sns": sns}]}, context)


@pytest.fixture
def function(aws_server: str, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    for variable, value in {
        "AWS_ENDPOINT_URL": aws_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "CHAT": "slack",
        "WEBHOOK_PARAMETER": PARAMETER,
    }.items():
        monkeypatch.setenv(variable, value)
    chat_notice._read_url.cache_clear()
    yield Function(chat)
    chat_notice._read_url.cache_clear()


def test_the_function_delivers_and_logs_no_secret(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    assert function(FAILURE) == {"messages": 1}
    assert function.chat.received[0]["text"] == "🔴 It failed"
    assert function.chat.paths == ["POST /services/T0001/B0002/kq7Secret?sig=alsoSecret"]
    assert json.loads(capsys.readouterr().out) == {"decision": "delivered", "message_id": "m-1"}


def test_a_replaced_webhook_is_read_again(function: Function) -> None:
    function(FAILURE)
    function.put_url(function.chat.url.replace("B0002", "B0003"))
    function.chat.reset(404)
    function(FAILURE)
    assert [path.split("/")[3] for path in function.chat.paths] == ["B0002", "B0003"]


def test_a_failed_delivery_fails_the_invocation(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    function.chat.reset(403, 403)
    with pytest.raises(NotDelivered, match="The webhook was removed"):
        function(FAILURE)
    function.ssm.delete_parameter(Name=PARAMETER)
    chat_notice._read_url.cache_clear()
    with pytest.raises(NotDelivered, match=f"Parameter {PARAMETER} with the webhook's URL cannot be read: .*NotFound"):
        function(FAILURE)
    out = capsys.readouterr().out
    assert "not delivered" in out
    assert "Secret" not in out


def test_an_alarm_about_the_function_itself_fills_no_queue(function: Function) -> None:
    """A failed delivery would add a dead letter for an alarm about dead letters."""
    function.chat.reset(404, 404, 404, 404)
    assert function(ALARM | {"AlarmName": "example-test-failures-slack-dead-letters"}) == {"messages": 1}
    with pytest.raises(NotDelivered):
        function(ALARM)


def test_a_notice_shows_what_the_policy_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "order 123456789 of jane@example.org#joe@example.org, \x1b]0;x\x07\u202e, password=hunter2"
    shown = r"order 123456789 of jane@example.org#joe@example.org, \u001b]0;x\u0007\u202e, password=[redacted]"
    masked = r"order ********* of [e-mail], \u001b]0;x\u0007\u202e, password=[redacted]"
    for module in (chat_notice, failure_notice):
        for policy, expected in ((None, masked), ("secrets-only", shown), ("strict", masked)):
            if policy is None:
                monkeypatch.delenv("PRIVACY", raising=False)
            else:
                monkeypatch.setenv("PRIVACY", policy)
            assert module.mask(text) == expected
