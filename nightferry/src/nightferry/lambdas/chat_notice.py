"""Deliver the notices of a topic to a chat (AWS Lambda, invoked asynchronously by Amazon SNS).

::

    message of the topic ─► notice: title, facts, text, command ─► message of Slack or Teams ─► the webhook

One function delivers to one webhook, so that a slow or dead chat delays no other recipient. A message is the notice of
a failed workflow, an alarm of CloudWatch, or any text. Everything in it is data: it is escaped for its chat, shortened
to the chat's limits, and personal data and secrets are masked by their patterns.

=====================  ======================================================================================
``WEBHOOK_PARAMETER``  the parameter with the webhook's URL
``CHAT``               ``slack`` (an incoming webhook) or ``teams`` (a workflow that posts an Adaptive Card)
=====================  ======================================================================================

The URL is a secret: no log line and no error contains more of it than the host. An invocation fails if the chat does
not accept the message in its time, so that Lambda retries the message and then sends it to the dead-letter queue. A
message can arrive twice. The function never fails for an alarm about itself, which would fill the queue again.
"""

import email.utils
import http.client
import json
import os
import random
import re
import socket
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

MARGIN_SECONDS = 2.0  # to fail with a message before Lambda stops the invocation
_REQUEST_SECONDS = 10.0
_MAX_RESPONSE_BYTES = 2000
_MAX_TITLE, _MAX_VALUE, _MAX_TEXT = 150, 300, 2500  # characters; Slack: 150 in a header, 3,000 in a section
_MAX_MASKED = 5000  # characters of a text that are read; fewer are shown
_MAX_LINES = 40  # Teams accepts 28 KB in total
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}
_ACCEPTED = {"slack": (200,), "teams": (200, 202)}

# The same patterns as in failure_notice.py: a function imports no other module of this project.
_SECRETS = (
    (re.compile(r"(?<=://)[^/\s?#@\"']{1,200}@"), "[redacted]@"),
    (re.compile(r"https://hooks\.slack[^\s\"'<>]*|https://[^\s\"'<>]{1,500}[?&]sig=[^\s\"'<>]*"), "[webhook]"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\beyJ[\w-]{5,500}\.[\w.-]+|(?<=Bearer\s)[\w.~+/=-]{6,}"), "[key]"),
    (
        re.compile(
            r"(?i)\b(\w{0,60}(?:password|passwd|secret|token)(?:\\?[\"'])?\s{0,9}[=:]\s{0,9}(?:\\?[\"'])?)"
            r"[^\s,;&}\"'\\][^,;&}\"'\\\n]*"
        ),
        r"\1[redacted]",
    ),
)
_PERSONAL = (
    (re.compile(r"\s{0,9}(?:\b(?:DETAIL|CONTEXT|HINT|QUERY):\s|\[parameters: ).*", re.DOTALL), ""),
    (re.compile(r"(?<![\w.!#$%&'*+/=?^`{|}~-])(?:[\w.!#$%&'*+/=?^`{|}~-]+@(?:[\w-]+\.)+[\w-]{2,})+"), "[e-mail]"),
    (
        re.compile(
            r"(?i)\b(\w{0,60}(?:ssn|fein|tax_?id\w{0,60}|(?:first|last|full)_?name)(?:\\?[\"'])?"
            r"\s{0,9}[=:]\s{0,9}(?:\\?[\"'])?)[^\s,;&}\"'\\][^,;&}\"'\\\n]*"
        ),
        r"\1[redacted]",
    ),
    (
        re.compile(
            r"(\barn:[\w-]+:[\w-]*:[\w-]*:\d{12}\b|\b\d{12}(?=\.dkr\.ecr\.))"
            r"|(?<![\w.-])(?:\d{9,}|\d{3}([-. /])\d{2}\2\d{4}|\d{2}-\d{7}|(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4})"
            r"(?![\w-])"
        ),
        lambda found: found[1] or "*********",
    ),
)


class NotFromAws(Exception):
    """Another server than AWS responded, such as a proxy."""


class NotDelivered(Exception):
    """The chat did not accept the message. The error names the host of the webhook, and never its URL."""


@dataclass(frozen=True)
class Notice:
    """A message in the form in which people read it: the most important first."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    text: str = ""
    command: str = ""
    """The command that shows more."""
    link: str = ""
    runbook: str = ""
    """The place in the runbook that an alarm's description names at its end."""
    resolved: bool = False
    """True for an alarm that has ended."""
    alarm: str = ""


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Deliver the messages of the event, and return their number."""
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
    chat, parameter = os.environ["CHAT"], os.environ["WEBHOOK_PARAMETER"]
    records = event["Records"]
    for record in records:
        message = record["Sns"]
        notice = read_notice(message["TopicArn"].rpartition(":")[2], message.get("Subject"), message["Message"])
        try:
            deliver(_read_url(parameter), render(notice, chat), chat, deadline, reload=lambda: _reload_url(parameter))
        except NotDelivered as problem:
            _log("not delivered", message_id=message.get("MessageId"), reason=str(problem))
            if not notice.alarm.startswith(f"{context.function_name}-"):
                raise
        else:
            _log("delivered", message_id=message.get("MessageId"))
    return {"messages": len(records)}


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────


def read_notice(topic: str, subject: str | None, message: str, *, strict: bool | None = None) -> Notice:
    """Return the notice in a message: a failed workflow's, an alarm's, or the text itself. For ``strict`` see mask."""
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and {"AlarmName", "NewStateValue"} <= content.keys():
        return _read_alarm(content, strict)
    if isinstance(content, dict) and {"workflow", "execution", "status"} <= content.keys():
        return _read_failure(subject, content, strict)
    return Notice(mask(subject or f"Notice of topic {topic}", strict), text=mask(message, strict))


def _read_failure(subject: str | None, content: dict[str, Any], strict: bool | None) -> Notice:
    names = ("Workflow", "workflow"), ("Environment", "environment"), ("Step", "step"), ("Error", "error")
    status = str(content["status"]).lower().replace("_", " ")
    return Notice(
        mask(subject or f"Workflow {content['workflow']} {status}", strict),
        (*((label, mask(str(content[key]), strict)) for label, key in names if content.get(key)), ("Status", status)),
        mask(str(content.get("cause") or ""), strict),
        str(content.get("command") or ""),
        _check_link(content.get("link")),
    )


def _read_alarm(content: dict[str, Any], strict: bool | None) -> Notice:
    """Read an alarm (CloudWatch guide, "Alarm events"). Its description has the object and what to do."""
    name, state = str(content["AlarmName"]), str(content["NewStateValue"])
    titles = {"ALARM": f"Alarm: {name}", "OK": f"Resolved: {name}"}
    facts = (
        ("Reason", str(content.get("NewStateReason") or "")),
        ("Since", str(content.get("StateChangeTime") or "")),
        ("Account", f"{content.get('AWSAccountId')}, {content.get('Region')}"),
    )
    description, separator, runbook = str(content.get("AlarmDescription") or "").rpartition(" Runbook: ")
    if not _check_link(runbook):
        description, runbook = description + separator + runbook, ""
    return Notice(
        titles.get(state, f"{state}: {name}"),
        tuple((label, value) for label, value in facts if value),
        mask(description, strict),
        runbook=runbook,
        link=_make_alarm_link(str(content.get("AlarmArn") or ""), name),
        resolved=state == "OK",
        alarm=name,
    )


def _make_alarm_link(arn: str, name: str) -> str:
    parts = arn.split(":")
    if len(parts) < 7 or parts[1] not in _CONSOLES or not re.fullmatch(r"[a-z0-9-]+", parts[3]):
        return ""
    alarm = urllib.parse.quote(name, safe="", errors="replace")
    return f"https://{parts[3]}.{_CONSOLES[parts[1]]}/cloudwatch/home?region={parts[3]}#alarmsV2:alarm/{alarm}"


def _check_link(link: Any) -> str:
    return link if isinstance(link, str) and re.fullmatch(r"https://[^\s<>|\"']{1,1000}", link) else ""


def mask(text: str, strict: bool | None = None) -> str:
    """Return the first part of ``text``, printable, without the secrets that patterns recognize.

    Personal data is masked too if ``strict``; None is the catalog's policy, which the variable PRIVACY has.
    """
    if len(text) > _MAX_MASKED:
        text = " ".join([*text[:_MAX_MASKED].rsplit(maxsplit=1)[:1], "…"])  # no part of a number or address
    if strict is None:
        strict = os.environ.get("PRIVACY") != "secrets-only"
    for pattern, replacement in (*_SECRETS, *(_PERSONAL if strict else ())):
        text = pattern.sub(replacement, text)
    return "".join(one if one.isprintable() or one in "\n\t" else f"\\u{ord(one):04x}" for one in text)


# ── rendering ─────────────────────────────────────────────────────────────────────────────────────────────────


def render(notice: Notice, chat: str) -> dict[str, Any]:
    """Return the request of a chat's webhook."""
    return {"slack": _render_slack, "teams": _render_teams}[chat](notice)


def render_text(notice: Notice) -> str:
    """Return the notice as plain text."""
    parts = [notice.title, "\n".join(f"{label}: {value}" for label, value in notice.facts), notice.text]
    parts += [notice.command, notice.runbook, notice.link]
    return "\n\n".join(part for part in parts if part)


def _render_slack(notice: Notice) -> dict[str, Any]:
    """Return blocks (Slack, "Block Kit"). Values are code, which shows no formatting and mentions nobody."""
    lines = [f"*{label}:* `{_escape_slack(value, _MAX_VALUE)}`" for label, value in notice.facts]
    sections = ["\n".join(lines)]
    if notice.text:
        sections.append(f"```\n{_escape_slack(notice.text, _MAX_TEXT, lines=True)}\n```")
    if notice.command:
        sections.append(f"`{_escape_slack(notice.command, _MAX_VALUE)}`")
    links = [f"<{url.replace('&', '&amp;')}|{title}>" for title, url in _list_links(notice)]
    sections.append(" · ".join(links))
    title = _shorten(f"{'✅' if notice.resolved else '🔴'} {notice.title}", _MAX_TITLE)
    header = {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}}
    return {
        "text": _escape_slack(title, _MAX_VALUE),  # of the notification
        "blocks": [
            header,
            *({"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in sections if text),
        ],
    }


def _list_links(notice: Notice) -> list[tuple[str, str]]:
    links = ("Open the runbook", notice.runbook), ("Open the console", notice.link)
    return [(title, url) for title, url in links if url]


def _escape_slack(text: str, most: int, *, lines: bool = False) -> str:
    """Escape the three control characters (Slack, "Formatting message text") and the end of code, then shorten."""
    text = text.replace("`", "'") if lines else " ".join(text.replace("`", "'").split())
    escaped = _shorten(text, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(escaped) <= most:
        return escaped
    return re.sub(r"&\w{0,3}$", "", escaped[: most - 2]) + " …"


def _render_teams(notice: Notice) -> dict[str, Any]:
    """Return a message with an Adaptive Card. All texts are text runs, because only those contain no Markdown."""
    color = "good" if notice.resolved else "attention"
    body = [
        _make_block({"text": _shorten(notice.title, _MAX_TITLE), "size": "large", "weight": "bolder", "color": color})
    ]
    for label, value in notice.facts:
        value = _shorten(" ".join(value.split()), _MAX_VALUE)
        body.append(_make_block({"text": f"{label}: ", "weight": "bolder"}, {"text": value}))
    text = [line for line in _shorten(notice.text, _MAX_TEXT).splitlines() if line.strip()]
    if len(text) > _MAX_LINES:
        text = [*text[: _MAX_LINES - 1], "…"]
    body += [_make_block({"text": line, "fontType": "monospace"}) for line in text]
    if notice.command:
        body.append(_make_block({"text": _shorten(notice.command, _MAX_VALUE), "fontType": "monospace"}))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    if links := _list_links(notice):
        card["actions"] = [{"type": "Action.OpenUrl", "title": title, "url": url} for title, url in links]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _make_block(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **run} for run in runs]}


def _shorten(text: str, most: int) -> str:
    text = text.encode("utf-8", "replace").decode()  # a lone surrogate has no encoding
    return text if len(text) <= most else f"{text[: most - 2]} …"


# ── delivery ──────────────────────────────────────────────────────────────────────────────────────────────────


def deliver(
    url: str, message: dict[str, Any], chat: str, deadline: float, reload: Callable[[], str] | None = None
) -> None:
    """Send a message, and repeat it until the chat accepts it or refuses it, or until ``deadline`` (monotonic).

    ``reload`` returns the URL again if the chat no longer knows it, because it may have been replaced.

    Raises:
        NotDelivered: The chat did not accept the message.
    """
    body = json.dumps(message, ensure_ascii=False).encode()
    wait = 1.0
    while True:
        status, retry_after, problem = _post(url, body, chat, deadline)
        if status in _ACCEPTED[chat]:
            return
        if status in (401, 403, 404, 410) and reload is not None:
            url, reload = reload(), None
            continue
        if status is not None and status not in (408, 429) and status < 500:
            raise NotDelivered(f"{problem}. {_explain(status)}")
        pause = retry_after if retry_after is not None else wait * random.uniform(0.5, 1)  # noqa: S311  # not a secret
        if time.monotonic() + pause >= deadline:
            raise NotDelivered(f"{problem}, and no time was left for another attempt.")
        time.sleep(pause)
        wait = min(2 * wait, 15.0)


def _explain(status: int) -> str:
    if 300 <= status < 400:
        return "Redirects are not followed. Check the URL in the secret."
    if status in (401, 403, 404, 410):
        return "The webhook was removed or its URL is incomplete. Create a new one, and replace the secret."
    return "Check that the secret contains the URL of a webhook of this chat."


def _post(url: str, body: bytes, chat: str, deadline: float) -> tuple[int | None, float | None, str]:
    """Send one request; return its status (None without a response), the seconds of Retry-After, and a description."""
    parts = _split_url(url)
    left = deadline - time.monotonic()
    if left <= 0:
        raise NotDelivered(f"No time was left to send the message to {parts.hostname}.")
    connect = http.client.HTTPConnection if parts.scheme == "http" else http.client.HTTPSConnection
    seconds = min(_REQUEST_SECONDS, left)
    connection = connect(parts.netloc, timeout=seconds)
    # The connection's timeout is for each received part, so a response in many small parts could take any time.
    timer = threading.Timer(seconds, _abort, (connection,))
    timer.daemon = True
    timer.start()
    try:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        connection.request("POST", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", body, headers)
        response = connection.getresponse()
        reason = _read_reason(response.read(_MAX_RESPONSE_BYTES)) if response.status not in _ACCEPTED[chat] else ""
        problem = f"{chat.capitalize()} ({parts.hostname}) responded with status {response.status}{reason}"
        return response.status, _parse_retry_after(response.getheader("Retry-After")), problem
    except (OSError, http.client.HTTPException) as error:  # its text may contain the URL
        return None, None, f"{chat.capitalize()} ({parts.hostname}) did not respond ({type(error).__name__})"
    finally:
        timer.cancel()
        connection.close()


def _abort(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):  # it is not connected
        connection.sock.shutdown(socket.SHUT_RDWR)


def _split_url(url: str) -> urllib.parse.SplitResult:
    """Return the parts of the URL. Only a server on the same machine may be called without encryption."""
    try:
        parts = urllib.parse.urlsplit(url)
        is_local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        valid = (parts.scheme == "https" or is_local) and parts.hostname and not parts.username
        valid = valid and (parts.port is None or parts.port > 0) and re.fullmatch(r"[!-~]+", url) is not None
    except ValueError:
        valid = False
    if not valid:
        raise NotDelivered("The secret does not contain the URL of a webhook, which begins with https://. Replace it.")
    return parts


def _read_reason(body: bytes) -> str:
    """Return the error code in a response, such as Slack's no_service. Any other text could repeat the request."""
    text = body.decode("utf-8", "replace").strip()
    try:
        error = json.loads(text)["error"]
        text = error["code"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return f": {text}" if isinstance(text, str) and re.fullmatch(r"[A-Za-z][A-Za-z_]{1,49}", text) else ""


def _parse_retry_after(retry_after: str | None) -> float | None:
    """Return the seconds of Retry-After, or until its date (RFC 9110, 10.2.3); None if missing or invalid."""
    if retry_after is None:
        return None
    if seconds := re.fullmatch(r"\s*([0-9]{1,9})\s*", retry_after):
        return float(seconds[1])  # float itself does not remove all characters that \s matches
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _reload_url(parameter: str) -> str:
    _read_url.cache_clear()
    return _read_url(parameter)


@cache
def _read_url(parameter: str) -> str:
    import boto3  # not on a machine that only renders notices
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    # Three attempts of 5 s leave time for the request.
    config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=5)
    create: Any = boto3.client
    client = create("ssm", config=config)
    client.meta.events.register("after-call", _check_origin)
    try:
        response = client.get_parameter(Name=parameter, WithDecryption=True)
    except (BotoCoreError, ClientError, NotFromAws) as error:
        raise NotDelivered(f"Parameter {parameter} with the webhook's URL cannot be read: {error}") from None
    return str(response.get("Parameter", {}).get("Value", "")).strip()


def _check_origin(http_response: Any, **_: object) -> None:
    """Raise NotFromAws without a request ID. botocore reads a page with status 200 as an empty response."""
    if not http_response.headers.get("x-amzn-requestid"):
        host, status = urllib.parse.urlsplit(http_response.url).netloc, http_response.status_code
        raise NotFromAws(
            f"The response of {host} (status {status}) is not from AWS, because it has no request ID. Check the "
            "function's route to AWS: proxy, firewall, endpoint."
        )


def _log(decision: str, **fields: str | None) -> None:
    sys.stdout.write(json.dumps({"decision": decision, **fields}) + "\n")
