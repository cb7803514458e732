"""New Relic: the agent around a job, and custom events. Each only if its key is set.

==============================  ==============================================================================
``NEW_RELIC_LICENSE_KEY``       starts the agent
``NEW_RELIC_APP_NAME``          the application's name (default: ``ENVIRONMENT`` behind "nightferry-")
``NEW_RELIC_INSERT_API_KEY``    sends events
``NEW_RELIC_ACCOUNT_ID``        the account that events belong to
``NEW_RELIC_EVENTS_URL``        the whole address for events, in place of the US one of that account
==============================  ==============================================================================

Nothing here makes a job fail.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nightferry.errors import needs_extra
from nightferry.job.redaction import describe, redactor
from nightferry.job.runtime import Runtime, ecs_metadata

TIMEOUT = 10.0
"""Seconds for each of connecting, sending and answering."""
ATTRIBUTE_LIMIT = 254
"""Attributes of one event that New Relic takes; a text has at most 4,096 bytes."""

_TEXT_LIMIT = 4096
_EVENTS_AT_ONCE = 500  # of at most 2,000 and 1 MB that New Relic takes by one request
_REGISTER_TIMEOUT = 10.0

_log = logging.getLogger("nightferry.job")


# ── the agent ─────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def transaction(runtime: Runtime) -> Iterator[None]:
    """Report the block as a background transaction, group ``Python/ECSTask``, named like the task.

    Without a licence key nothing is imported and nothing happens.
    """
    if not os.environ.get("NEW_RELIC_LICENSE_KEY"):
        yield
        return
    try:
        agent = _started(runtime)
    except Exception as error:
        _log.warning("New Relic's agent did not start: %s", describe(error))
        yield
        return
    application, background, shutdown = agent
    try:
        with background(application, name=runtime.task, group="Python/ECSTask"):
            yield
    finally:
        shutdown(timeout=TIMEOUT)


def _started(runtime: Runtime) -> tuple[Any, Any, Any]:
    # What the agent could tell of data stays here: messages of errors, log lines, parameters of SQL and requests.
    os.environ.setdefault("NEW_RELIC_APP_NAME", f"nightferry-{runtime.environment or 'local'}")
    safe = {
        "NEW_RELIC_STRIP_EXCEPTION_MESSAGES_ENABLED": "true",
        "NEW_RELIC_APPLICATION_LOGGING_ENABLED": "false",
        "NEW_RELIC_TRANSACTION_TRACER_RECORD_SQL": "obfuscated",
        "NEW_RELIC_DATASTORE_TRACER_QUERY_PARAMETERS_ENABLED": "false",
        "NEW_RELIC_LOG": "stderr",
        "NEW_RELIC_LOG_LEVEL": "error",
    }
    os.environ.update(safe)
    with needs_extra("newrelic"):
        import newrelic.agent  # type: ignore[import-untyped]  # it ships no types; it reads the environment when loaded

    newrelic.agent.initialize()
    settings = newrelic.agent.global_settings()
    settings.strip_exception_messages.enabled = True
    settings.application_logging.enabled = False
    application = newrelic.agent.register_application(timeout=_REGISTER_TIMEOUT)
    return application, newrelic.agent.BackgroundTask, newrelic.agent.shutdown_agent


# ── events ─────────────────────────────────────────────────────────────────────────────────────────────────


def send_events(runtime: Runtime, event_type: str, events: Sequence[Mapping[str, Any]]) -> None:
    """Send custom events, with the place of the run; without a key, or when it fails, the job goes on."""
    place = _place(runtime)
    for start in range(0, len(events), _EVENTS_AT_ONCE):
        some = events[start : start + _EVENTS_AT_ONCE]
        common = {"environment": runtime.environment, **place}
        _send(event_type, [{"eventType": event_type, **attributes(event), **common} for event in some])


def _send(name: str, events: Sequence[Mapping[str, Any]]) -> None:
    key = os.environ.get("NEW_RELIC_INSERT_API_KEY")
    if not key:
        return
    redactor.learn([key])
    address = _address()
    if address is None:
        _log.warning("no %s sent: set NEW_RELIC_ACCOUNT_ID", name, extra={"event": "events_not_sent"})
        return
    try:
        with needs_extra("newrelic"):
            import httpx

        answer = httpx.post(
            address,
            content=gzip.compress(json.dumps(events).encode()),
            headers={"Api-Key": key, "Content-Type": "application/json", "Content-Encoding": "gzip"},
            timeout=TIMEOUT,
            follow_redirects=False,
        )
        answer.raise_for_status()
    except Exception as error:
        _log.warning("the %s was not sent: %s", name, describe(error), extra={"event": "events_not_sent"})


def attributes(report: Mapping[str, Any]) -> dict[str, str | int | float]:
    """A report as flat attributes within New Relic's limits; what is left out is counted in ``attributes_omitted``."""
    flat: dict[str, str | int | float] = {}
    _flatten(redactor.value(report), "", flat)
    kept = dict(list(flat.items())[: ATTRIBUTE_LIMIT - 30])  # room for those of the run
    if len(kept) < len(flat):
        kept["attributes_omitted"] = len(flat) - len(kept)
    return kept


def _flatten(value: Any, path: str, flat: dict[str, str | int | float]) -> None:
    match value:
        case dict():
            for key, item in value.items():
                _flatten(item, f"{path}.{key}" if path else str(key), flat)
        case bool() | None:
            flat[path[:255]] = str(value)
        case int() | float():
            flat[path[:255]] = value
        case str():
            flat[path[:255]] = value.encode()[:_TEXT_LIMIT].decode(errors="ignore")
        case _:
            flat[path[:255]] = json.dumps(value, ensure_ascii=False).encode()[:_TEXT_LIMIT].decode(errors="ignore")


def _address() -> str | None:
    if address := os.environ.get("NEW_RELIC_EVENTS_URL"):
        return address
    account = os.environ.get("NEW_RELIC_ACCOUNT_ID")
    return f"https://insights-collector.newrelic.com/v1/accounts/{account}/events" if account else None


def _place(runtime: Runtime) -> dict[str, str]:
    """Where the run took place: its task, its log stream and its workflow execution."""
    container, task = ecs_metadata(), ecs_metadata("/task")
    logs = container.get("LogOptions") or {}
    execution = runtime.execution.split(":")[-2:] if runtime.execution else []
    found = {
        "task.name": runtime.task,
        "task.id": runtime.run_id,
        "task.definition": f"{task['Family']}:{task['Revision']}" if "Family" in task and "Revision" in task else None,
        "aws.log_group": logs.get("awslogs-group"),
        "aws.log_stream": logs.get("awslogs-stream"),
        "execution": ":".join(execution) or None,
    }
    return {name: str(value) for name, value in found.items() if value}
