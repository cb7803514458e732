"""Reading Retry and Catch."""

from __future__ import annotations

from nightferry.states.language import model
from nightferry.states.language.fields import Fields

_LONGEST_INTERVAL = 99_999_999
_LONGEST_MAX_DELAY = 31_622_400
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
"""Error names that the language itself defines."""


def retry(fields: Fields) -> tuple[model.Retrier, ...]:
    """The retriers of a state."""
    retriers = []
    parts = fields.objects("Retry")
    for index, part in enumerate(parts):
        errors = _errors(part, last=index == len(parts) - 1)
        part.text("Comment")
        interval = part.integer("IntervalSeconds", 1, _LONGEST_INTERVAL)
        attempts = part.integer("MaxAttempts", 0, 99_999_999)
        backoff = part.number("BackoffRate", 1.0)
        delay = part.integer("MaxDelaySeconds", 1, _LONGEST_MAX_DELAY)
        jitter = part.text("JitterStrategy")
        if jitter not in (None, "FULL", "NONE"):
            part.problem("JitterStrategy", f"The jitter strategies are FULL and NONE, not {jitter!r}.")
        if delay is not None and delay <= (interval or 1):
            part.problem("MaxDelaySeconds", "MaxDelaySeconds must be greater than IntervalSeconds.")
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


def catch(fields: Fields) -> tuple[model.Catcher, ...]:
    """The catchers of a state."""
    catchers = []
    parts = fields.objects("Catch")
    for index, part in enumerate(parts):
        part.in_catcher = True
        errors = _errors(part, last=index == len(parts) - 1)
        part.text("Comment")
        result_path: tuple[str | int, ...] | None = ()
        output = None
        if fields.language_now == "JSONPath":
            if part.has("ResultPath"):
                result_path = part.writable("ResultPath")
        else:
            output = part.template("Output")
        catchers.append(
            model.Catcher(
                errors=errors,
                next=part.text("Next", required=True) or "",
                result_path=result_path,
                assign=part.assign(),
                output=output,
            )
        )
        part.reject_unknown_fields()
    return tuple(catchers)


def _errors(part: Fields, *, last: bool) -> tuple[str, ...]:
    """ErrorEquals of a retrier or catcher; States.ALL stands alone, and in the last one."""
    names = part.raw("ErrorEquals")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        part.problem("ErrorEquals", "ErrorEquals is a list of at least one error name.")
        return ()
    if "States.ALL" in names and len(names) > 1:
        part.problem("ErrorEquals", "States.ALL must stand alone.")
    if "States.ALL" in names and not last:
        part.problem("ErrorEquals", "States.ALL must be in the last one: what comes after it is never reached.")
    for name in names:
        if name.startswith("States.") and name not in PREDEFINED_ERRORS and not name.startswith(_HTTP_ERRORS):
            part.problem(
                "ErrorEquals", f"{name} is not a predefined error; names of your own must not start with States."
            )
    return tuple(names)
