"""New Relic's agent and custom events. Each is enabled by its key and never makes a job fail.

==============================  ==============================================================================
``NEW_RELIC_LICENSE_KEY``       enables the agent
``NEW_RELIC_APP_NAME``          the application's name (default: "nightferry-" and ``ENVIRONMENT``)
``NR_INSERT_API_KEY``           enables events
``NEW_RELIC_ACCOUNT_ID``        the account that receives the events
``NEW_RELIC_EVENTS_URL``        the full URL for events, instead of the account's URL in the U.S. region
==============================  ==============================================================================
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
from nightferry.job.redaction import describe_error, redactor
from nightferry.job.runtime import Runtime, read_ecs_metadata

TIMEOUT_SECONDS = 10.0
"""Timeout of each connect, write and read."""
MAX_ATTRIBUTES = 254
"""New Relic's limit of attributes per event."""

_MAX_TEXT_BYTES = 4096  # New Relic's limit of a text attribute
_EVENTS_PER_REQUEST = 500  # New Relic accepts up to 2,000 events and 1 MB per request
_REGISTER_TIMEOUT_SECONDS = 10.0

_log = logging.getLogger("nightferry.job")


# ── the agent ─────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def transaction(runtime: Runtime) -> Iterator[None]:
    """Report the block as a background transaction with the task's name in the group ``Python/ECSTask``.

    Without a license key the function does nothing and does not import the agent.
    """
    key = os.environ.get("NEW_RELIC_LICENSE_KEY", "").strip("\r\n")
    if not key:
        yield
        return
    os.environ["NEW_RELIC_LICENSE_KEY"] = key  # the agent reads the variable itself
    try:
        agent = _start_agent(runtime)
    except Exception as error:
        _log.warning("cannot start the New Relic agent: %s", describe_error(error))
        yield
        return
    application, background, shutdown = agent
    try:
        with background(application, name=runtime.task, group="Python/ECSTask"):
            yield
    finally:
        shutdown(timeout=TIMEOUT_SECONDS)


def _start_agent(runtime: Runtime) -> tuple[Any, Any, Any]:
    # The agent must not send data: error messages, log lines, or parameters of SQL and requests.
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
        import newrelic.agent  # type: ignore[import-untyped]  # ships no types; reads the environment on import

    newrelic.agent.initialize()
    settings = newrelic.agent.global_settings()
    settings.strip_exception_messages.enabled = True
    settings.application_logging.enabled = False
    application = newrelic.agent.register_application(timeout=_REGISTER_TIMEOUT_SECONDS)
    return application, newrelic.agent.BackgroundTask, newrelic.agent.shutdown_agent


# ── events ─────────────────────────────────────────────────────────────────────────────────────────────────


def send_events(runtime: Runtime, event_type: str, events: Sequence[Mapping[str, Any]]) -> None:
    """Send custom events with the run's attributes. Without a key, or on an error, the job continues."""
    run_attributes = _collect_run_attributes(runtime)
    for start in range(0, len(events), _EVENTS_PER_REQUEST):
        some = events[start : start + _EVENTS_PER_REQUEST]
        common = {"environment": runtime.environment, **run_attributes}
        _send(event_type, [{"eventType": event_type, **flatten_report(event), **common} for event in some])


def _send(name: str, events: Sequence[Mapping[str, Any]]) -> None:
    key = os.environ.get("NR_INSERT_API_KEY", "").strip("\r\n")
    if not key:
        return
    redactor.add_secrets([key])
    url = _make_events_url()
    if url is None:
        _log.warning("cannot send %s events: set NEW_RELIC_ACCOUNT_ID", name, extra={"event": "events_not_sent"})
        return
    try:
        with needs_extra("newrelic"):
            import httpx

        response = httpx.post(
            url,
            content=gzip.compress(json.dumps(events).encode()),
            headers={"Api-Key": key, "Content-Type": "application/json", "Content-Encoding": "gzip"},
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
        )
        response.raise_for_status()
    except Exception as error:
        _log.warning("cannot send %s events: %s", name, describe_error(error), extra={"event": "events_not_sent"})


def flatten_report(report: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Return a report as flat attributes within New Relic's limits; ``attributes_omitted`` counts those left out."""
    flat: dict[str, str | int | float] = {}
    _flatten(redactor.redact_value(report), "", flat)
    kept = dict(list(flat.items())[: MAX_ATTRIBUTES - 30])  # leaves space for the run's attributes
    if len(kept) < len(flat):
        kept["attributes_omitted"] = len(flat) - len(kept)
    return kept


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:_MAX_TEXT_BYTES].decode(errors="ignore")


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
            flat[path[:255]] = _cut(value)
        case _:
            flat[path[:255]] = _cut(json.dumps(value, ensure_ascii=False))


def _make_events_url() -> str | None:
    if url := os.environ.get("NEW_RELIC_EVENTS_URL"):
        return url
    account = os.environ.get("NEW_RELIC_ACCOUNT_ID")
    return f"https://insights-collector.newrelic.com/v1/accounts/{account}/events" if account else None


def _collect_run_attributes(runtime: Runtime) -> dict[str, str]:
    """Return the run's task, log stream and workflow execution as attributes.

    The names are those that existing queries of New Relic use, also for a run outside AWS.
    """
    container, task = read_ecs_metadata(), read_ecs_metadata("/task")
    logs = container.get("LogOptions") or {}
    execution = runtime.execution.split(":")[-2:] if runtime.execution else []
    has_definition = "Family" in task and "Revision" in task
    found = {
        "aws.ecs.task_name": runtime.task,
        "aws.ecs.task_id": runtime.run_id,
        "aws.ecs.task_definition": f"{task['Family']}:{task['Revision']}" if has_definition else None,
        "aws.cloudwatch.log_group": logs.get("awslogs-group"),
        "aws.cloudwatch.log_stream": logs.get("awslogs-stream"),
        "aws.step_function.id": ":".join(execution) or None,
    }
    return {name: str(value) for name, value in found.items() if value}
