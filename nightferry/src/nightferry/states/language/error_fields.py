"""Parsing of Retry and Catch."""

from __future__ import annotations

from nightferry.states.language import model
from nightferry.states.language.fields import Fields

_INTERVAL_LIMIT_SECONDS = 99_999_999
_MAX_DELAY_LIMIT_SECONDS = 31_622_400
_HTTP_ERRORS = "States.Http.StatusCode."

PREDEFINED_ERRORS = frozenset(
    {
        "States.ALL",
        "States.BranchFailed",
        "States.DataLimitExceeded",
        "States.ExceedToleratedFailureThreshold",
        "States.HeartbeatTimeout",
        "States.Http.Socket",
        "States.IntrinsicFailure",
        "States.ItemReaderFailed",
        "States.NoChoiceMatched",
        "States.ParameterPathFailure",
        "States.Permissions",
        "States.QueryEvaluationError",
        "States.ResultPathMatchFailure",
        "States.ResultWriterFailed",
        "States.Runtime",
        "States.TaskFailed",
        "States.Timeout",
    }
)
"""Error names that the language defines."""


def read_retry(fields: Fields) -> tuple[model.Retrier, ...]:
    """Return the retriers of a state."""
    retriers = []
    parts = fields.read_objects("Retry")
    for index, part in enumerate(parts):
        errors = _read_error_names(part, last=index == len(parts) - 1)
        part.read_text("Comment")
        interval = part.read_integer("IntervalSeconds", 1, _INTERVAL_LIMIT_SECONDS)
        attempts = part.read_integer("MaxAttempts", 0, 99_999_999)
        backoff = part.read_number("BackoffRate", 1.0)
        delay = part.read_integer("MaxDelaySeconds", 1, _MAX_DELAY_LIMIT_SECONDS)
        jitter = part.read_text("JitterStrategy")
        if jitter not in (None, "FULL", "NONE"):
            part.report("JitterStrategy", f"JitterStrategy must be FULL or NONE, not {jitter!r}.")
        if delay is not None and delay <= (interval or 1):
            part.report("MaxDelaySeconds", "MaxDelaySeconds must be greater than IntervalSeconds.")
        part.reject_unknown_fields()
        retriers.append(
            model.Retrier(
                errors=errors,
                interval=1 if interval is None else interval,
                attempts=3 if attempts is None else attempts,
                backoff=2.0 if backoff is None else backoff,
                max_delay=delay,
                full_jitter=jitter == "FULL",
            )
        )
    return tuple(retriers)


def read_catch(fields: Fields) -> tuple[model.Catcher, ...]:
    """Return the catchers of a state."""
    catchers = []
    parts = fields.read_objects("Catch")
    for index, part in enumerate(parts):
        part.in_catcher = True
        errors = _read_error_names(part, last=index == len(parts) - 1)
        part.read_text("Comment")
        result_path: tuple[str | int, ...] | None = ()
        output = None
        if fields.current_language == "JSONPath":
            if part.has("ResultPath"):
                result_path = part.read_writable_path("ResultPath")
        else:
            output = part.read_template("Output")
        catchers.append(
            model.Catcher(
                errors=errors,
                next=part.read_text("Next", required=True) or "",
                result_path=result_path,
                assign=part.read_assign(),
                output=output,
            )
        )
        part.reject_unknown_fields()
    return tuple(catchers)


def _read_error_names(part: Fields, *, last: bool) -> tuple[str, ...]:
    """Return ErrorEquals of a retrier or catcher; ``last`` is True for the last one, which may have States.ALL."""
    names = part.read("ErrorEquals")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        part.report("ErrorEquals", "ErrorEquals must be a list with at least one error name.")
        return ()
    if "States.ALL" in names and len(names) > 1:
        part.report("ErrorEquals", "States.ALL must be the only name in ErrorEquals.")
    if "States.ALL" in names and not last:
        part.report("ErrorEquals", "States.ALL must be in the last entry, because later entries are never used.")
    for name in names:
        if name.startswith("States.") and name not in PREDEFINED_ERRORS and not name.startswith(_HTTP_ERRORS):
            part.report(
                "ErrorEquals", f"{name} is not a predefined error. Custom error names must not start with 'States.'."
            )
    return tuple(names)
